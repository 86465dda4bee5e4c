# -*- coding: utf-8 -*-

# stdlib
from datetime import datetime
from time import sleep

# Zato
from zato.common.api import CHANNEL, DATA_FORMAT
from zato.common.exception import Inactive, TimeoutException
from zato.common.json_internal import dumps, loads
from zato.server.service import Service
from zato.server.service.internal import AdminService

# Project
from models import CreateOrderRequest, CreateOrderResponse


class CreateOrder(Service):
    name = 'orders.create'
    input = CreateOrderRequest
    output = CreateOrderResponse

    def handle(self):
        request = self.request.input # type: CreateOrderRequest
        response = CreateOrderResponse()
        response.order_id = request.customer_id * 10 + request.priority
        response.status = 'created in {}'.format(request.address.city if request.address else 'nowhere')
        response.items = request.items + request.notes + list(request.options)
        self.response.payload = response


class PlaceOrder(Service):
    name = 'orders.place'

    def before_handle(self):
        self.environ['started'] = 1

    def handle(self):
        cid = self.invoke_async('orders.process', {'order_id': 5}, callback='orders.on-processed',
            environ={'order_id': 5, 'tenant': 'acme'})
        self.response.payload = {'cid': cid, 'started': self.environ['started']}

    def after_handle(self):
        self.logger.info('Placed')


class ProcessOrder(Service):
    name = 'orders.process'

    def handle(self):
        self.response.payload = {'order_id': self.request.payload['order_id'], 'tenant': self.environ['tenant']}


class OnProcessed(Service):
    name = 'orders.on-processed'

    def handle(self):
        self.logger.info('Processed %s %s', self.environ['order_id'], self.request.payload.tenant)


class RemindLater(Service):
    name = 'orders.remind'

    def handle(self):
        self.schedule.onetime(self, 'orders.process', after_seconds=5)


class NightlyReport(Service):
    name = 'orders.report'

    def before_interval_based_jobs(self):
        self.logger.info('Starting')

    def handle(self):
        self.response.payload = dumps({'at': datetime(2026, 1, 31), 'n': 1})


class AskWarehouse(Service):
    name = 'orders.ask-warehouse'

    def handle(self):
        try:
            self.invoke('orders.warehouse', {'order_id': 1}, timeout=0.2)
        except TimeoutException:
            self.response.payload = {'timed_out': True}


class Warehouse(Service):
    name = 'orders.warehouse'
    timeout = 5

    def handle(self):
        sleep(0.5)
        return {'in_stock': True}


class CallBackend(Service):
    name = 'orders.backend'

    def handle(self):
        response = self.out.rest['Backend'].conn.get(self.cid)
        self.response.payload = loads(response.text)
        self.response.status_code = 202


class OrdersAPI(Service):
    name = 'orders.api'

    def handle_GET(self):
        self.response.payload = self.request.http.params


class RestrictedOrders(Service):
    name = 'orders.restricted'

    def accept(self):
        return self.request.payload.get('role') == 'admin'

    def handle(self):
        self.response.payload = {'ok': True}


class ListOrders(AdminService):
    name = 'orders.list'

    def handle(self):
        pass


class AllAtOnce(Service):
    name = 'orders.all'

    def handle(self):
        targets = {'orders.process': {'order_id': 1}, 'crm.customer.get': {'cust_id': 1}}
        self.response.payload = {'cid': self.patterns.fanout.invoke(targets, 'orders.on-all')}


class OnAll(Service):
    name = 'orders.on-all'

    def handle(self):
        self.logger.info('All done %s', [elem['ok'] for elem in self.request.payload['data']])


class LoadFile(Service):
    name = 'orders.load-file'

    def handle(self):
        try:
            self.invoke('crm.customer.search', '{"page": ', data_format=DATA_FORMAT.JSON, channel=CHANNEL.INVOKE)
        except Exception as e:
            self.response.payload = {'error': e.__class__.__name__}
