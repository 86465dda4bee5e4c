from dataclasses import dataclass

from cidery import Service


@dataclass
class Customer:
    cust_id: int


@dataclass
class Greeting:
    greeting: str


class Greet(Service[Customer, Greeting]):
    """Greets a customer by name."""

    def handle(self, input: Customer) -> Greeting:
        customer = self.invoke("customer.get", cust_id=input.cust_id)
        return Greeting(f"Hello, {customer.cust_name}")
