# The services that the others invoke: `invoking.my-service` and `invoking.my-service2`.

from zato.server.service import Service


class MyService(Service):
    def handle(self):
        customer_id = self.request.payload["customer_id"]
        self.logger.info("customer_id: %s, cid: %s", customer_id, self.cid)
        self.response.payload = {"customer_id": customer_id, "cid": self.cid}


class MyService2(Service):
    class SimpleIO:
        input_required = "cust_id"
        output_required = "cust_name"
        response_elem = "my_response_elem"

    def handle(self):
        self.response.payload.cust_name = "Alexis Smith"
