# Invokes a service by its name, with a dict, and reads what is in its response.

from zato.server.service import Service


class MyService(Service):
    def handle(self):
        name = "zato.security.get-list"
        request = {"cluster_id": 1}
        response = self.invoke(name, request, as_bunch=True)

        names = []
        for item in response.zato_security_get_list_response:
            self.logger.info(item.name)
            names.append(item.name)
        self.response.payload = {"names": names}
