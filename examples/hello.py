from cidery import Service

class Greet(Service):
    input = "cust_id"; output = "greeting"
    def handle(self):
        customer = self.invoke("customer.get", cust_id=self.request.input.cust_id)
        self.response.payload.greeting = f"Hello, {customer.cust_name}"
