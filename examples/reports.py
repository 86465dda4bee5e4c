"""The services of docs/tutorial.md."""

from dataclasses import dataclass

from cidery import Service


@dataclass
class Text:
    text: str


@dataclass
class Count:
    words: int


class CountWords(Service):
    """Counts the words of a text."""

    name = "words.count"
    input = Text
    output = Count

    def handle(self):
        return Count(words=len(self.request.input.text.split()))


@dataclass
class ReportRequest:
    pages: int


@dataclass
class Report:
    pages: int


class BuildReport(Service):
    """Builds a report, a quarter of a second for each page."""

    name = "report.build"
    input = ReportRequest
    output = Report

    def handle(self):
        pages = self.request.input.pages
        for page in range(1, pages + 1):
            self.sleep(0.25)
            self.emit({"page": page})
        return Report(pages)
