# Has a service run in the background: its CID is known at once.

from zato.server.service import Service


class MyService(Service):
    def handle(self):
        request = {"customer_id": 123}
        cid = self.invoke_async("invoking.my-service", request)
        self.logger.info("CID: %s", cid)
        self.response.payload = {"cid": cid}
