# Gives the request in place.

from zato.server.service import Service


class MyService(Service):
    def handle(self):
        self.response.payload = self.invoke(
            "invoking.my-service", customer_id=123, phone_no="123-456-789"
        )
