"""dcache-admin doctor"""

import click

from ..options import Choices, Verb, pass_choices


@click.command("doctor", cls=Verb)
@pass_choices
def command(choices: Choices) -> int:
    """Look for what is wrong, or will be.

    Reads, stores and deletes one small item of its own on every node, and sends a task that does nothing to the
    workers of each region, if there is a broker. Exit 3 if anything failed; warnings alone are exit 0.
    """
    from ...inspection.doctor import examine
    from ...inspection.fleet_report import look
    from ...inspection.target import find
    from ..exit_codes import Exit
    from ..output import Answer, Column, write

    target = find(choices)
    sighting = look(target, choices.timeout, target.wanted.nodes if target.wanted else (), resize=True)
    found = examine(target, sighting, choices.timeout)
    if target.wanted:
        from django.conf import settings

        from ...messaging import broker_check as messages

        found += messages.findings(choices.timeout, settings.DEBUG)
    findings = [finding._asdict() for finding in found]
    failed, warned = (sum(item["verdict"] == verdict for item in findings) for verdict in ("fail", "warn"))
    answer = Answer.about(sighting, "doctor", findings)
    answer.title = f"{target.alias}: {len(findings)} checks, {failed} failed, {warned} warnings"
    answer.errors = [
        {"node": item["node"], "error": item["check"], "message": item["detail"]}
        for item in findings
        if item["verdict"] == "fail"
    ]
    columns = [
        Column("verdict", "RESULT"),
        Column("check", "CHECK"),
        Column("node", "NODE"),
        Column("detail", "FOUND"),
        Column("fix", "WHAT TO DO"),
    ]
    write(answer, columns, choices, errors=False)
    return Exit.PARTIAL if failed else Exit.OK
