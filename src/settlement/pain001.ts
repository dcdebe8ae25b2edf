/**
 * A payment file as ISO 20022 has it: CustomerCreditTransferInitiationV09 (pain.001.001.09). The same payments make the same bytes, whenever they are written:
 * a bank knows a message that it had before by its MsgId.
 */
import { assert } from '../assert.ts'
import { formatAmount } from '../money.ts'

/** Max35Text without what some banks refuse: the characters of an EndToEndId and MsgId. */
export interface PaymentMessage {
  readonly messageId: string
  readonly createdAtMs: number
  /** Cairo day on which the bank is to pay. */
  readonly executionDay: string
  readonly debtor: { readonly name: string; readonly iban: string; readonly bic: string | null }
  readonly count: number
  /** Piasters. */
  readonly sum: number
}

export interface Payment {
  readonly endToEndId: string
  /** Piasters. */
  readonly amount: number
  readonly iban: string
  readonly bic: string | null
  /** 1 to 140 characters. */
  readonly holderName: string
  /** DE 42 of the merchant. */
  readonly acceptorId: string
  /** The last business day that is paid by it. */
  readonly untilDay: string
}

/** In chunks, as the payments come. @throws AssertionError where they are not those of the control sums: the file is cut off and no bank takes it */
export async function* pain001(message: PaymentMessage, payments: AsyncIterable<readonly Payment[]>): AsyncGenerator<string> {
  yield head(message)
  const left = { count: message.count, sum: message.sum }
  for await (const chunk of payments) {
    yield chunk.map(transaction).join('')
    left.count -= chunk.length
    left.sum -= chunk.reduce((sum, { amount }) => sum + amount, 0)
  }
  assert(left.count === 0 && left.sum === 0, 'a payment file has the payments of its control sums')
  yield '    </PmtInf>\n  </CstmrCdtTrfInitn>\n</Document>\n'
}

function head({ messageId, createdAtMs, executionDay, debtor, count, sum }: PaymentMessage): string {
  const control = `<NbOfTxs>${String(count)}</NbOfTxs><CtrlSum>${formatAmount(sum)}</CtrlSum>`
  const createdAt = `${new Date(createdAtMs).toISOString().slice(0, 19)}Z`
  // Without batch booking each payment comes back in the bank's statement under its own EndToEndId.
  return `<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.09">
  <CstmrCdtTrfInitn>
    <GrpHdr><MsgId>${messageId}</MsgId><CreDtTm>${createdAt}</CreDtTm>${control}<InitgPty><Nm>${xmlText(debtor.name)}</Nm></InitgPty></GrpHdr>
    <PmtInf>
      <PmtInfId>${messageId}</PmtInfId><PmtMtd>TRF</PmtMtd><BtchBookg>false</BtchBookg>${control}
      <ReqdExctnDt><Dt>${executionDay}</Dt></ReqdExctnDt>
      <Dbtr><Nm>${xmlText(debtor.name)}</Nm></Dbtr><DbtrAcct><Id><IBAN>${debtor.iban}</IBAN></Id></DbtrAcct>
      <DbtrAgt>${agent(debtor.bic) ?? '<FinInstnId><Othr><Id>NOTPROVIDED</Id></Othr></FinInstnId>'}</DbtrAgt>
`
}

function transaction({ endToEndId, amount, iban, bic, holderName, acceptorId, untilDay }: Payment): string {
  const bank = agent(bic)
  return (
    `      <CdtTrfTxInf><PmtId><EndToEndId>${endToEndId}</EndToEndId></PmtId><Amt><InstdAmt Ccy="EGP">${formatAmount(amount)}</InstdAmt></Amt>` +
    `${bank === undefined ? '' : `<CdtrAgt>${bank}</CdtrAgt>`}<Cdtr><Nm>${xmlText(holderName)}</Nm></Cdtr>` +
    `<CdtrAcct><Id><IBAN>${iban}</IBAN></Id></CdtrAcct><RmtInf><Ustrd>${xmlText(acceptorId)} ${untilDay}</Ustrd></RmtInf></CdtTrfTxInf>\n`
  )
}

function agent(bic: string | null): string | undefined {
  return bic === null ? undefined : `<FinInstnId><BICFI>${bic}</BICFI></FinInstnId>`
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** Text of an element or of an attribute in quotes, in XML and in HTML. */
export function xmlText(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
}
