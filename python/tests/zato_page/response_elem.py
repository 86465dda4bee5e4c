# Reads a response that is wrapped, by index and by dot. The request is left out.

from zato.server.service import Service


class MyService(Service):
    def handle(self):
        response = self.invoke("invoking.my-service2")
        by_index = response["my_response_elem"]["cust_name"]
        by_dot = response.my_response_elem.cust_name
        self.response.payload = {"by_index": by_index, "by_dot": by_dot}
