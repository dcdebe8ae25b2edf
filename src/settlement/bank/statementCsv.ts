/**
 * Bank statements as CSV, for banks that have no camt.053 (spec/bank.md). A row a record, in this order for each statement: `opening`, any number of `entry`, `closing`. Amounts
 * are signed: what goes out of the account begins with a minus. `entries` of the closing row is their number, so that a file that was cut short is known.
 */
import { parse } from 'csv-parse/sync'
import { linesOf } from '../../programme/orderFile.ts'
import { tooLarge, tooManyEntries } from './camt053.ts'
import {
  BadFile,
  countEntries,
  dayIn,
  freeText,
  piastersOf,
  storedText,
  type BankStatement,
  type FileLimits,
  type StatementEntry,
} from './statement.ts'

export const STATEMENT_COLUMNS = [
  'record',
  'account',
  'statement_id',
  'date',
  'value_date',
  'amount',
  'currency',
  'entries',
  'reference',
  'bank_reference',
  'counterparty',
  'text',
  'return_reason',
] as const
type Column = (typeof STATEMENT_COLUMNS)[number]
type Row = Readonly<Record<Column, string>>

const ROW_BYTES_MAX = 4096
const REFERENCE_MAX = 35
const TEXT_MAX = 500

interface OpenStatement {
  readonly account: string
  readonly statementId: string
  readonly from: string
  readonly opening: number
  readonly entries: StatementEntry[]
}

/** @throws BadFile, and what reading the bytes throws */
export async function readStatementCsv(bytes: AsyncIterable<Uint8Array>, limits: FileLimits): Promise<BankStatement[]> {
  const statements: BankStatement[] = []
  let header = false
  let line = 0
  let open: OpenStatement | undefined
  for await (const { bytes: text, tooLong } of linesOf(counted(bytes, limits), ROW_BYTES_MAX)) {
    line++
    const where = `Line ${String(line)}`
    if (tooLong) throw new BadFile('row-too-long', `${where} is longer than a row may be.`)
    const fields = fieldsOf(text, where)
    if (!header) {
      if (fields.join() !== STATEMENT_COLUMNS.join())
        throw new BadFile('unknown-header', `The first line has to be ${STATEMENT_COLUMNS.join()}.`)
      header = true
      continue
    }
    const row = rowOf(fields, where)
    if (row.record === 'opening') {
      if (open !== undefined) throw cutOff()
      open = openingOf(row, where)
      continue
    }
    if (open === undefined) throw new BadFile('not-a-statement', `${where}: a statement begins with a row "opening".`)
    if (row.account !== open.account || row.statement_id !== open.statementId)
      throw new BadFile('not-a-statement', `${where} is of another account or statement than the row "opening" above it.`)
    if (row.record === 'entry') {
      if (open.entries.length === limits.entriesMax) throw tooManyEntries(limits)
      open.entries.push(entryOf(row, where))
    } else if (row.record === 'closing') {
      statements.push(closed(open, row, where))
      open = undefined
    } else throw new BadFile('not-a-statement', `${where}: the record is neither opening, entry nor closing.`)
  }
  if (open !== undefined || !header) throw cutOff()
  if (statements.length === 0) throw new BadFile('not-a-statement', 'The file has no statement in it.')
  return statements
}

async function* counted(bytes: AsyncIterable<Uint8Array>, limits: FileLimits): AsyncGenerator<Uint8Array> {
  let length = 0
  for await (const chunk of bytes) {
    length += chunk.length
    if (length > limits.fileBytesMax) throw tooLarge(limits)
    yield chunk
  }
}

function cutOff(): BadFile {
  return new BadFile('file-cut-off', 'The file ends before the row "closing" of a statement. Ask the bank for it again.')
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function fieldsOf(bytes: Uint8Array, where: string): string[] {
  let text
  try {
    text = utf8.decode(bytes)
  } catch {
    throw new BadFile('not-utf-8', `${where} is not UTF-8.`)
  }
  try {
    const records: string[][] = parse(text, { trim: true, relax_column_count: true })
    return records[0] ?? []
  } catch {
    throw new BadFile('broken-row', `${where}: a quote is not closed, or stands where none can.`)
  }
}

function rowOf(fields: readonly string[], where: string): Row {
  if (fields.length !== STATEMENT_COLUMNS.length)
    throw new BadFile('broken-row', `${where} has not the ${String(STATEMENT_COLUMNS.length)} columns that the first line names.`)
  const row = Object.fromEntries(STATEMENT_COLUMNS.map((column, index) => [column, fields[index] ?? ''])) as Row
  if (row.currency !== 'EGP') throw new BadFile('wrong-currency', `${where} is in another currency than EGP.`)
  return row
}

function signedAmount(text: string, where: string): number {
  const amount = piastersOf(text.replace(/^[-+]/, ''), where)
  return text.startsWith('-') && amount !== 0 ? -amount : amount
}

function openingOf(row: Row, where: string): OpenStatement {
  const [account, statementId] = [row.account, row.statement_id].map((text) => storedText(text, REFERENCE_MAX) ?? '')
  if (account !== row.account || statementId !== row.statement_id || account === '' || statementId === '')
    throw new BadFile(
      'not-a-statement',
      `${where} has no account or no statement_id of 1 to ${String(REFERENCE_MAX)} characters.`,
    )
  return { account, statementId, from: dayIn(row.date, where), opening: signedAmount(row.amount, where), entries: [] }
}

function entryOf(row: Row, where: string): StatementEntry {
  const signed = signedAmount(row.amount, where)
  if (signed === 0) throw new BadFile('not-an-amount', `${where}: the amount is 0.`)
  return {
    credit: signed > 0,
    amount: Math.abs(signed),
    bookedOn: dayIn(row.date, where),
    valueOn: row.value_date === '' ? null : dayIn(row.value_date, where),
    references: [storedText(row.reference, REFERENCE_MAX)].filter((reference) => reference !== null),
    bankReference: storedText(row.bank_reference, REFERENCE_MAX),
    counterparty: storedText(row.counterparty, REFERENCE_MAX),
    text: freeText(row.text, TEXT_MAX),
    returnReason: storedText(row.return_reason, REFERENCE_MAX),
  }
}

function closed({ entries, ...open }: OpenStatement, row: Row, where: string): BankStatement {
  if (!/^\d{1,9}$/.test(row.entries))
    throw new BadFile('wrong-control-sum', `${where}: the row "closing" says in entries how many entries there are.`)
  return {
    ...open,
    until: dayIn(row.date, where),
    closing: signedAmount(row.amount, where),
    entries,
    counted: countEntries(entries),
    stated: { entries: Number(row.entries) },
  }
}
