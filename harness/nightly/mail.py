"""The summary as a mail, text and HTML, through the host's sendmail or an SMTP server."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from harness import process
from harness.catalogue.nightly import Mail
from harness.errors import InfraError
from harness.nightly import tell
from harness.nightly.morning import Morning

PATIENCE = 30.0
SENDMAIL = ("sendmail", "-i", "-t")


def compose(declared: Mail, morning: Morning) -> EmailMessage:
    """The message, with nothing but what the summary has."""
    message = EmailMessage()
    message["From"] = declared.sender
    message["To"] = ", ".join(declared.to)
    message["Subject"] = f"[lab] {morning.plan.title}: {morning.headline}"
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=declared.sender.rpartition("@")[2] or "localhost")
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(tell.text(morning))
    message.add_alternative(tell.html(morning), subtype="html")
    return message


def send(declared: Mail, message: EmailMessage) -> None:
    """Hand the message over.

    Raises InfraError when nobody takes it.
    """
    if not declared.smtp:
        process.run(SENDMAIL, input=message.as_bytes(), timeout=PATIENCE)
        return
    host, _, port = declared.smtp.partition(":")
    try:
        with smtplib.SMTP(host, int(port or 25), timeout=PATIENCE) as server:
            if "starttls" in _extensions(server):
                server.starttls()
            server.send_message(message)
    except (OSError, smtplib.SMTPException, ValueError) as exc:
        raise InfraError(f"{declared.smtp} did not take the mail: {exc}") from exc


def _extensions(server: smtplib.SMTP) -> set[str]:
    server.ehlo_or_helo_if_needed()
    return set(server.esmtp_features)
