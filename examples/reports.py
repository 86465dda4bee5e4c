"""The services of docs/tutorial.md."""

from dataclasses import dataclass

from cidery import Service


@dataclass
class Text:
    text: str


@dataclass
class Count:
    words: int


class CountWords(Service[Text, Count]):
    """Counts the words of a text."""

    name = "words.count"

    def handle(self, input: Text) -> Count:
        return Count(words=len(input.text.split()))


@dataclass
class ReportRequest:
    pages: int


@dataclass
class Report:
    pages: int


class BuildReport(Service[ReportRequest, Report]):
    """Builds a report, a quarter of a second for each page."""

    name = "report.build"

    def handle(self, input: ReportRequest) -> Report:
        for page in range(1, input.pages + 1):
            self.sleep(0.25)
            self.emit({"page": page})
        return Report(input.pages)
