from enum import StrEnum


class BillStatus(StrEnum):
    READ = "read"
    READING = "reading"
    REFUSED = "refused"
    REPLACED = "replaced"

    def __str__(self) -> str:
        return str(self.value)
