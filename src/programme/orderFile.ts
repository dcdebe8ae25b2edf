/**
 * The file of a bulk order, read as it comes: lines out of bytes, rows out of lines. A line is a row, whatever is wrong with another one: quoted line
 * breaks are not taken, no column could have one.
 */
import { parse } from 'csv-parse/sync'
import { done, refused, type Outcome } from '../ledger/programme/desk.ts'

export type OrderFormat = 'csv' | 'ndjson'

/** Columns of a CSV file, keys of an NDJSON object. */
export const ORDER_COLUMNS = ['national_id', 'place_id', 'mobile'] as const
export type OrderColumn = (typeof ORDER_COLUMNS)[number]

/** As the file has it; `mobile` may be absent or empty. */
export interface OrderRow {
  readonly nationalId: string
  readonly placeId: string
  readonly mobile: string
}

/** A line without its end; `bytes` are at most the limit's. */
export interface OrderLine {
  readonly bytes: Uint8Array
  readonly tooLong: boolean
}

const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d

/** Lines without their ends (LF or CRLF). Never holds more than a line and what came last. Empty lines at the end are none. */
export async function* linesOf(bytes: AsyncIterable<Uint8Array>, bytesMax: number): AsyncGenerator<OrderLine> {
  let rest: Uint8Array = new Uint8Array(0)
  let dropped = false
  let empty = 0
  const lineOf = (end: Uint8Array): OrderLine => {
    const whole = rest.length === 0 ? end : Buffer.concat([rest, end])
    const line = whole.at(-1) === CARRIAGE_RETURN ? whole.subarray(0, -1) : whole
    const tooLong = dropped || line.length > bytesMax
    rest = new Uint8Array(0)
    dropped = false
    return { bytes: line.subarray(0, bytesMax), tooLong }
  }
  // An empty line counts once another follows it.
  function* withEmptyBefore(line: OrderLine): Generator<OrderLine> {
    if (line.bytes.length === 0 && !line.tooLong) {
      empty++
      return
    }
    for (; empty > 0; empty--) yield { bytes: new Uint8Array(0), tooLong: false }
    yield line
  }
  for await (const chunk of bytes) {
    let from = 0
    for (let at = chunk.indexOf(LINE_FEED); at >= 0; at = chunk.indexOf(LINE_FEED, from)) {
      yield* withEmptyBefore(lineOf(chunk.subarray(from, at)))
      from = at + 1
    }
    // One more for a carriage return.
    const room = bytesMax + 1 - rest.length
    const tail = chunk.subarray(from)
    dropped ||= tail.length > room
    rest = Buffer.concat([rest, tail.subarray(0, room)])
  }
  if (rest.length > 0 || dropped) yield* withEmptyBefore(lineOf(new Uint8Array(0)))
}

export interface CsvHeader {
  readonly delimiter: ',' | ';'
  readonly columns: readonly OrderColumn[]
}

const HEADER_EXPECTED =
  'The first line names the columns national_id, place_id and, where mobiles are to be registered, mobile, with commas or semicolons between.'

/** @returns what the first line says of the others */
export function headerOf(line: OrderLine): Outcome<CsvHeader> {
  const wrong = refused('invalid', 'unknown-header', HEADER_EXPECTED, '/1')
  const text = line.tooLong ? undefined : textOf(line.bytes)
  if (text === undefined) return wrong
  const delimiter = text.includes(';') ? ';' : ','
  const names = fieldsOf(text, delimiter)?.map((name) => name.toLowerCase())
  const columns = ORDER_COLUMNS.filter((column) => names?.includes(column) === true)
  const isWhole = columns.includes('national_id') && columns.includes('place_id')
  // Neither one that there is not nor one that is there twice.
  if (names === undefined || !isWhole || names.length !== columns.length) return wrong
  return done({ delimiter, columns: names.filter((name): name is OrderColumn => columns.some((column) => column === name)) })
}

/** @param header of a CSV file; undefined: the line is JSON */
export function rowOf(line: OrderLine, header: CsvHeader | undefined): Outcome<OrderRow> {
  if (line.tooLong) return refused('invalid', 'row-too-long', 'The row is longer than a row may be.')
  const text = textOf(line.bytes)
  if (text === undefined) return refused('invalid', 'not-utf-8', 'The row is not UTF-8.')
  return header === undefined ? jsonRow(text) : csvRow(text, header)
}

function csvRow(text: string, { delimiter, columns }: CsvHeader): Outcome<OrderRow> {
  if (text.trim() === '') return refused('invalid', 'empty-row', 'The row is empty.')
  const fields = fieldsOf(text, delimiter)
  if (fields === undefined) return refused('invalid', 'broken-row', 'A quote of the row is not closed, or stands where none can.')
  if (fields.length !== columns.length)
    return refused('invalid', 'broken-row', `The row has not the ${String(columns.length)} columns that the first line names.`)
  const of = (column: OrderColumn): string => fields[columns.indexOf(column)] ?? ''
  return done({ nationalId: of('national_id'), placeId: of('place_id'), mobile: columns.includes('mobile') ? of('mobile') : '' })
}

function fieldsOf(text: string, delimiter: string): string[] | undefined {
  // Most have no quotes; the parser takes some twenty times as long for a line.
  if (!/["\r\n]/.test(text)) return text.split(delimiter).map((field) => field.trim())
  try {
    const records: string[][] = parse(text, { delimiter, trim: true, relax_column_count: true })
    return records.length === 1 ? records[0] : undefined
  } catch {
    return undefined
  }
}

const ROW_EXPECTED = 'The row is a JSON object with the strings national_id and place_id and perhaps mobile, and nothing else.'

function jsonRow(text: string): Outcome<OrderRow> {
  if (text.trim() === '') return refused('invalid', 'empty-row', 'The row is empty.')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return refused('invalid', 'broken-row', ROW_EXPECTED)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return refused('invalid', 'broken-row', ROW_EXPECTED)
  const members = new Map<string, unknown>(Object.entries(value))
  const known = new Set<string>(ORDER_COLUMNS)
  if ([...members.keys()].some((key) => !known.has(key))) return refused('invalid', 'broken-row', ROW_EXPECTED)
  const [nationalId, placeId, mobile = ''] = ORDER_COLUMNS.map((column) => members.get(column))
  if (typeof nationalId !== 'string' || typeof placeId !== 'string' || typeof mobile !== 'string')
    return refused('invalid', 'broken-row', ROW_EXPECTED)
  return done({ nationalId, placeId, mobile })
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** A byte order mark is none of it. @returns undefined where it is not UTF-8 */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}
