# Says how the request is written.

from zato.common import DATA_FORMAT
from zato.server.service import Service


class MyService(Service):
    def handle(self):
        request = {"customer_id": 123, "phone_no": "123-456-789"}
        response = self.invoke("invoking.my-service", request, data_format=DATA_FORMAT.JSON)
        self.response.payload = response


class AsText(Service):
    def handle(self):
        request = '{"customer_id": 123}'
        response = self.invoke("invoking.my-service", request, data_format=DATA_FORMAT.JSON)
        self.response.payload = response
