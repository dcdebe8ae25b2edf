/** ISO 20022 camt.053, versions 2 to 8: read as it comes, an entry at a time. Element names are those of the standard. */
import {
  BadFile,
  countEntries,
  dayIn,
  freeText,
  piastersOf,
  storedText,
  TOO_LARGE,
  type BankStatement,
  type FileLimits,
  type StatedTotals,
  type StatementEntry,
} from './statement.ts'
import { elementAt, elementsNamed, textAt, xmlReader, type XmlElement } from './xmlTree.ts'

const NAMESPACE = /^urn:iso:std:iso:20022:tech:xsd:camt\.053\.001\.0[2-8]$/
const STATEMENT_PATH = 'Document/BkToCstmrStmt/Stmt'
const ENTRY_PATH = `${STATEMENT_PATH}/Ntry`
const HEADER_PATH = 'Document/BkToCstmrStmt/GrpHdr'
const CURRENCY = 'EGP'
/** What is read of a statement; all else is passed over. */
const KEPT: ReadonlySet<string> = new Set(
  (
    'MsgPgntn PgNb LastPgInd Id IBAN Othr Acct Ccy Bal Tp CdOrPrtry Cd Prtry Amt CdtDbtInd Dt DtTm FrToDt FrDtTm ToDtTm TxsSummry TtlNtries NbOfNtries ' +
    'Sum TtlNetNtry TtlNetNtryAmt TtlCdtNtries TtlDbtNtries NtryRef RvslInd Sts BookgDt ValDt AcctSvcrRef NtryDtls TxDtls Refs EndToEndId InstrId TxId ' +
    'PmtInfId MsgId AmtDtls TxAmt RltdPties DbtrAcct CdtrAcct RmtInf Ustrd Strd CdtrRefInf Ref RtrInf Rsn AddtlTxInf AddtlNtryInf'
  ).split(' '),
)
const REFERENCE_MAX = 35
const TEXT_MAX = 500

/** @throws BadFile, and what reading the bytes throws */
export async function readCamt053(bytes: AsyncIterable<Uint8Array>, limits: FileLimits): Promise<BankStatement[]> {
  const statements: BankStatement[] = []
  let parts: StatementEntry[] = []
  let booked: Pick<StatementEntry, 'credit' | 'amount'>[] = []
  const reader = xmlReader({
    onRoot: (name, namespace) => {
      if (name !== 'Document' || !NAMESPACE.test(namespace))
        throw new BadFile('not-a-statement', 'The file is no camt.053 of version 2 to 8 (namespace camt.053.001.02 to .08).')
    },
    onElement: (element, path) => {
      const at = path.join('/')
      if (at === HEADER_PATH) checkPages(element)
      if (at === ENTRY_PATH) {
        const where = `Statement ${String(statements.length + 1)}, entry ${String(booked.length + 1)}`
        const entry = entryOf(element, where)
        booked.push({ credit: entry.credit, amount: entry.amount })
        parts.push(...entry.parts)
        if (parts.length > limits.entriesMax) throw tooManyEntries(limits)
        return false
      }
      if (at === STATEMENT_PATH) {
        statements.push(statementOf(element, `Statement ${String(statements.length + 1)}`, parts, booked))
        parts = []
        booked = []
        return false
      }
      return KEPT.has(element.name)
    },
  })
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const decoded = (chunk?: Uint8Array): string => {
    try {
      return chunk === undefined ? decoder.decode() : decoder.decode(chunk, { stream: true })
    } catch {
      throw new BadFile('not-utf-8', 'The file is not UTF-8, or is cut off.')
    }
  }
  let length = 0
  for await (const chunk of bytes) {
    length += chunk.length
    if (length > limits.fileBytesMax) throw tooLarge(limits)
    reader.write(decoded(chunk))
  }
  reader.write(decoded())
  reader.end()
  if (statements.length === 0) throw new BadFile('not-a-statement', 'The file has no statement (Stmt) in it.')
  return statements
}

export function tooLarge({ fileBytesMax }: FileLimits): BadFile {
  return new BadFile(TOO_LARGE, `A file of statements has at most ${String(fileBytesMax)} bytes.`)
}

export function tooManyEntries({ entriesMax }: FileLimits): BadFile {
  return new BadFile('too-many-entries', `A statement has at most ${String(entriesMax)} entries.`)
}

/** A statement in several files would be stored without some of its entries. */
function checkPages(header: XmlElement): void {
  const pages = elementAt(header, 'MsgPgntn')
  if (pages === undefined) return
  if (textAt(pages, 'PgNb') !== '1' || !isTrue(textAt(pages, 'LastPgInd')))
    throw new BadFile('one-page-of-several', 'The file is one page of several (MsgPgntn); ask the bank for the whole statement.')
}

function statementOf(
  element: XmlElement,
  where: string,
  entries: readonly StatementEntry[],
  booked: readonly Pick<StatementEntry, 'credit' | 'amount'>[],
): BankStatement {
  const account = storedText(accountIn(elementAt(element, 'Acct', 'Id')), REFERENCE_MAX)
  const statementId = storedText(textAt(element, 'Id'), REFERENCE_MAX)
  if (account === null || statementId === null)
    throw new BadFile('not-a-statement', `${where} has no account (Acct) or no identification (Id).`)
  const currency = textAt(element, 'Acct', 'Ccy') ?? CURRENCY
  if (currency !== CURRENCY) throw wrongCurrency(where)
  const opening = balanceOf(element, ['OPBD', 'PRCD'], where)
  const closing = balanceOf(element, ['CLBD'], where)
  const from = textAt(element, 'FrToDt', 'FrDtTm')
  const until = textAt(element, 'FrToDt', 'ToDtTm')
  return {
    account,
    statementId,
    from: from === undefined ? opening.day : dayIn(from, where),
    until: until === undefined ? closing.day : dayIn(until, where),
    opening: opening.amount,
    closing: closing.amount,
    entries,
    counted: countEntries(booked),
    stated: statedIn(elementAt(element, 'TxsSummry'), where),
  }
}

function balanceOf(statement: XmlElement, codes: readonly string[], where: string): { amount: number; day: string } {
  const balances = elementsNamed(statement, 'Bal')
  const balance = codes
    .map((code) => balances.find((one) => textAt(one, 'Tp', 'CdOrPrtry', 'Cd') === code))
    .find((one) => one !== undefined)
  if (balance === undefined)
    throw new BadFile(
      'no-balance',
      `${where} has no booked ${codes.includes('CLBD') ? 'closing' : 'opening'} balance (${codes.join(', ')}).`,
    )
  const { amount } = amountIn(elementAt(balance, 'Amt'), where)
  const date = textAt(balance, 'Dt', 'Dt') ?? textAt(balance, 'Dt', 'DtTm') ?? ''
  return { amount: isCredit(balance, where) ? amount : -amount, day: dayIn(date, where) }
}

function statedIn(summary: XmlElement | undefined, where: string): StatedTotals {
  const number = (...names: readonly string[]): number | undefined => {
    const text = textAt(summary, ...names)
    if (text === undefined) return undefined
    if (!/^\d{1,15}$/.test(text)) throw new BadFile('wrong-control-sum', `${where}: a number of entries is none.`)
    return Number(text)
  }
  const sum = (...names: readonly string[]): number | undefined => {
    const text = textAt(summary, ...names)
    return text === undefined ? undefined : piastersOf(text, where)
  }
  const all = elementAt(summary, 'TtlNtries')
  // Version 2 has the net beside its direction, later ones in an element of their own.
  const inside = elementAt(all, 'TtlNetNtry')
  const net = inside === undefined ? sum('TtlNtries', 'TtlNetNtryAmt') : sum('TtlNtries', 'TtlNetNtry', 'Amt')
  const signed = net === undefined || net === 0 ? net : isCredit(inside ?? all, where) ? net : -net
  const found: Record<keyof StatedTotals, number | undefined> = {
    entries: number('TtlNtries', 'NbOfNtries'),
    sum: sum('TtlNtries', 'Sum'),
    net: signed,
    creditEntries: number('TtlCdtNtries', 'NbOfNtries'),
    credits: sum('TtlCdtNtries', 'Sum'),
    debitEntries: number('TtlDbtNtries', 'NbOfNtries'),
    debits: sum('TtlDbtNtries', 'Sum'),
  }
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined))
}

/** One entry; several where it says of each payment in it what it is. */
function entryOf(entry: XmlElement, where: string): { credit: boolean; amount: number; parts: readonly StatementEntry[] } {
  const { amount } = amountIn(elementAt(entry, 'Amt'), where)
  if (amount === 0) throw new BadFile('not-an-amount', `${where}: the amount is 0.`)
  const status = textAt(entry, 'Sts', 'Cd') ?? textAt(entry, 'Sts')
  if (status !== 'BOOK')
    throw new BadFile('not-booked', `${where} is not booked (Sts is not BOOK); a statement has booked ones only.`)
  const credit = isCredit(entry, where)
  const details = elementsNamed(entry, 'NtryDtls').flatMap((one) => elementsNamed(one, 'TxDtls'))
  const [only] = details
  const date = textAt(entry, 'BookgDt', 'Dt') ?? textAt(entry, 'BookgDt', 'DtTm')
  const value = textAt(entry, 'ValDt', 'Dt') ?? textAt(entry, 'ValDt', 'DtTm')
  if (date === undefined && value === undefined) throw new BadFile('not-a-date', `${where} has no date.`)
  const dates = {
    bookedOn: dayIn(date ?? value ?? '', where),
    valueOn: value === undefined ? null : dayIn(value, where),
  }
  const part = (detail: XmlElement | undefined, of: { credit: boolean; amount: number }): StatementEntry => ({
    ...of,
    ...dates,
    ...detailsOf(entry, detail, of.credit),
  })
  if (details.length <= 1) return { credit, amount, parts: [part(only, { credit, amount })] }
  const amounts = details.map((detail) => elementAt(detail, 'Amt') ?? elementAt(detail, 'AmtDtls', 'TxAmt', 'Amt'))
  // A batch of which only the sum is known stays one.
  if (amounts.some((one) => one === undefined)) return { credit, amount, parts: [part(undefined, { credit, amount })] }
  const parts = details.map((detail, index) =>
    part(detail, {
      credit: elementAt(detail, 'CdtDbtInd') === undefined ? credit : isCredit(detail, where),
      amount: amountIn(amounts[index], where).amount,
    }),
  )
  const { net } = countEntries(parts)
  if (net !== (credit ? amount : -amount) || parts.some((one) => one.amount === 0))
    throw new BadFile('details-do-not-add-up', `${where}: the payments in it do not come to its amount.`)
  return { credit, amount, parts }
}

type Details = Pick<StatementEntry, 'references' | 'bankReference' | 'counterparty' | 'text' | 'returnReason'>

function detailsOf(entry: XmlElement, detail: XmlElement | undefined, credit: boolean): Details {
  const refs = elementAt(detail, 'Refs')
  const named = ['EndToEndId', 'InstrId', 'TxId', 'PmtInfId', 'MsgId'].map((name) => textAt(refs, name))
  const remittance = elementAt(detail, 'RmtInf')
  const structured = elementsNamed(remittance, 'Strd').map((one) => textAt(one, 'CdtrRefInf', 'Ref'))
  const references = [...named, ...structured, textAt(entry, 'NtryRef')].flatMap((text) => storedText(text, REFERENCE_MAX) ?? [])
  const free = elementsNamed(remittance, 'Ustrd').map(({ text }) => text.trim())
  const text = [...free, textAt(detail, 'AddtlTxInf'), textAt(entry, 'AddtlNtryInf')].filter(Boolean).join(' ')
  const party = elementAt(detail, 'RltdPties', credit ? 'DbtrAcct' : 'CdtrAcct', 'Id')
  const reason = elementAt(detail, 'RtrInf', 'Rsn')
  const returned =
    textAt(reason, 'Cd') ?? textAt(reason, 'Prtry') ?? (elementAt(detail, 'RtrInf') === undefined ? undefined : 'return')
  return {
    references: [...new Set(references)].filter((reference) => reference !== 'NOTPROVIDED'),
    bankReference: storedText(textAt(refs, 'AcctSvcrRef') ?? textAt(entry, 'AcctSvcrRef'), REFERENCE_MAX),
    counterparty: storedText(accountIn(party), REFERENCE_MAX),
    text: freeText(text, TEXT_MAX),
    returnReason: storedText(returned, REFERENCE_MAX) ?? (isTrue(textAt(entry, 'RvslInd')) ? 'reversal' : null),
  }
}

function accountIn(id: XmlElement | undefined): string | undefined {
  return (textAt(id, 'IBAN') ?? textAt(id, 'Othr', 'Id'))?.replaceAll(' ', '')
}

function amountIn(element: XmlElement | undefined, where: string): { amount: number } {
  if (element === undefined) throw new BadFile('not-an-amount', `${where} has no amount (Amt).`)
  if (element.attributes['Ccy'] !== CURRENCY) throw wrongCurrency(where)
  return { amount: piastersOf(element.text, where) }
}

function wrongCurrency(where: string): BadFile {
  return new BadFile('wrong-currency', `${where} is in another currency than ${CURRENCY}.`)
}

function isCredit(element: XmlElement | undefined, where: string): boolean {
  const direction = textAt(element, 'CdtDbtInd')
  if (direction !== 'CRDT' && direction !== 'DBIT')
    throw new BadFile('not-a-statement', `${where}: CdtDbtInd says neither CRDT nor DBIT.`)
  return direction === 'CRDT'
}

/** XML Schema's boolean. */
function isTrue(text: string | undefined): boolean {
  return text === 'true' || text === '1'
}
