# -*- coding: utf-8 -*-

# stdlib
from contextlib import closing

# Zato
from zato.common.exception import BadRequest, NotFound
from zato.server.service import AsIs, Bool, Date, Dict, Int, List, Service


class Row:
    """ What a query of SQLAlchemy returns.
    """
    def __init__(self, cust_id, name, secret):
        self.cust_id = cust_id
        self.name = name
        self.secret = secret


ROWS = [Row(1, 'Ann', 'x'), Row(2, '', 'y')]


class GetCustomer(Service):
    name = 'crm.customer.get'

    class SimpleIO:
        input_required = ('cust_id',)
        input_optional = (Bool('needs_details', default=True), 'lang')
        output_required = ('cust_id', 'name')
        output_optional = ('details', 'middle_name')

    def handle(self):
        cust_id = self.request.input.cust_id
        for row in ROWS:
            if row.cust_id == cust_id:
                break
        else:
            raise NotFound(self.cid, 'No such customer `{}`'.format(cust_id))

        self.response.payload.cust_id = row.cust_id
        self.response.payload.name = row.name
        self.response.payload.middle_name = ''
        if self.request.input.needs_details:
            self.response.payload.details = 'lang:' + self.request.input.lang


class GetCustomerList(Service):
    name = 'crm.customer.get-list'

    class SimpleIO:
        output_required = ('cust_id', 'name')
        output_repeated = True
        response_elem = 'customers'

    def handle(self):
        self.response.payload[:] = ROWS


class ImportCustomers(Service):
    name = 'crm.customer.import'

    class SimpleIO:
        input_required = ('cust_id', 'name')
        input_optional = (Date('since'),)
        output_required = ('imported',)
        csv_delimiter = ';'

    def handle(self):
        imported = 0
        for row in self.request.input:
            self.logger.info('Importing %s %s', row.cust_id, row.name)
            imported += 1
        self.response.payload.imported = imported


class ExportCustomers(Service):
    name = 'crm.customer.export'

    class SimpleIO:
        output_required = ('cust_id', 'name')
        output_repeated = True
        response_elem = None

    def handle(self):
        for row in ROWS:
            self.response.payload.append(row)


class SearchCustomers(Service):
    name = 'crm.customer.search'

    class SimpleIO:
        input_optional = (Int('page', default=1), AsIs('filter_id'), List('tags'), Dict('range', '-from', '-to', default='*'))
        default_input_value = 'n/a'
        output_optional = ('page', AsIs('filter_id'), 'tags', 'range_from')

    def handle(self):
        input = self.request.input
        self.response.payload.page = input.page
        self.response.payload.filter_id = input.filter_id
        self.response.payload.tags = str(input.tags)
        self.response.payload.range_from = str(input.range)


class Login(Service):
    name = 'crm.login'
    input = 'user', 'password'
    output = 'token'

    def validate_input(self):
        if self.request.input.password == 'wrong':
            raise BadRequest(self.cid, 'Invalid credentials')

    def handle(self):
        self.logger.info('Login %s', self.request.input)
        self.response.payload.token = 'secret-token'


class SyncToDatabase(Service):
    name = 'crm.customer.sync'

    def handle(self):
        with closing(self.odb.session()) as session:
            session.add(self.request.payload)


class CachedCustomer(Service):
    name = 'crm.customer.cached'

    def handle(self):
        found = self.cache.default.get('customer')
        self.response.payload = found or self.invoke('crm.customer.get', {'cust_id': 1})
