"""Bank statements as banks make them, cut down to what counts."""

from __future__ import annotations

ENTRY = """<Ntry><Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>{sign}</CdtDbtInd><Sts>{status}</Sts>
<BookgDt><Dt>2025-11-04</Dt></BookgDt><ValDt><Dt>2025-11-05</Dt></ValDt><AcctSvcrRef>{bank}</AcctSvcrRef>
<NtryDtls><TxDtls><Refs><EndToEndId>{reference}</EndToEndId></Refs><RltdPties><Cdtr><Nm>Rosa Vidal</Nm></Cdtr>
<CdtrAcct><Id><IBAN>DE89370400440532013000</IBAN></Id></CdtrAcct></RltdPties>
<RmtInf><Ustrd>Commission 2025-10</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>
"""


def camt(*entries: str, version: str = "001.02") -> str:
    """A camt.053 with these entries."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.{version}">'
        "<BkToCstmrStmt><GrpHdr><MsgId>M</MsgId></GrpHdr><Stmt><Id>S</Id>"
        + "".join(entries)
        + "</Stmt></BkToCstmrStmt></Document>\n"
    )


MT940 = """:20:STARTUMS
:25:70120600/1234567
:28C:00001/001
:60F:C251103EUR100000,00
:61:2511041104DR86,42NTRFIB202510B1N00001//BANKREF1
:86:166?00SEPA-UEBERWEISUNG?10931?20EREF+IB202510B1N00001?21SVWZ+Commission 2025-10 IB2
?2202510B1N00001?30BYLADEM1?31DE89370400440532013000?32Rosa Vidal
:61:2511041104DR50,25NTRFNONREF
:86:166?00SEPA-UEBERWEISUNG?20SVWZ+Commission 2025-10 IB2025
10B1N00002?32Rosa Vidal
:61:2511051105CR86,42NRTINONREF//BANKREF2
:86:SVWZ+RETURN IB202510B1N00001
:61:2511051105RD5,00NRTINONREF//BANKREF3
:86:FEE
:62F:C251105EUR99913,58
-
:20:STARTUMS
:25:70120600/999
:28C:00001/001
:60F:C251103JPY100000,
:61:2511041104DR15385,NTRFNONREF
:86:SOMETHING ELSE
:62F:C251105JPY84615,
-
"""
