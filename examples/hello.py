from dataclasses import dataclass

from cidery import Service


@dataclass
class Greet:
    cust_id: int


@dataclass
class Greeting:
    greeting: str


class GreetCustomer(Service):
    """Greets a customer by name."""

    name = "hello.greet"
    input = Greet
    output = Greeting

    def handle(self):
        customer = self.invoke("customer.get", cust_id=self.request.input.cust_id)
        return Greeting(f"Hello, {customer.cust_name}")
