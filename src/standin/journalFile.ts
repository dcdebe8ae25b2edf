/**
 * The bytes of a journal file. Append only:
 *
 *   file    "SARFJNL1" record*
 *   record  mark "\xE5JR1", length of the payload (4 bytes, big endian), CRC-32 of it (4 bytes, big endian), payload: JSON in UTF-8
 *
 * The first record says whose journal it is. What a crash leaves at the end is a record that is cut short or was not written in full: a torn tail, which nobody was
 * told of. A record that is not what it was with a good one behind it is damage: the disk, or somebody, has changed what was there.
 */
import { crc32 } from 'node:zlib'
import type { StandInRecord } from './record.ts'

export interface JournalHead {
  readonly type: 'head'
  /** The name under which Redis knows that it holds something. */
  readonly journal: string
  readonly createdMs: number
}

export interface JournalContent {
  /** Undefined: not even its head is readable. */
  readonly head: JournalHead | undefined
  readonly records: readonly StandInRecord[]
  /** Bytes at the end that are no whole record. */
  readonly tornBytes: number
  /** Bytes before a good record that are none. */
  readonly damagedBytes: number
}

const MAGIC = Buffer.from('SARFJNL1', 'latin1')
const MARK = Buffer.from([0xe5, 0x4a, 0x52, 0x31])
const PREFIX_BYTES = 12
/** No record is longer: a message has a limit too. */
export const RECORD_BYTES_MAX = 65_536

export function fileStart(head: JournalHead): Buffer {
  return Buffer.concat([MAGIC, encodeRecord(head)])
}

export function encodeRecord(record: StandInRecord | JournalHead): Buffer {
  const payload = Buffer.from(JSON.stringify(record), 'utf8')
  const prefix = Buffer.alloc(PREFIX_BYTES)
  MARK.copy(prefix)
  prefix.writeUInt32BE(payload.length, 4)
  prefix.writeUInt32BE(crc32(payload), 8)
  return Buffer.concat([prefix, payload])
}

/** Reads what is good, wherever it is. */
export function readJournal(bytes: Buffer): JournalContent {
  const records: StandInRecord[] = []
  let head: JournalHead | undefined
  let at = bytes.subarray(0, MAGIC.length).equals(MAGIC) ? MAGIC.length : 0
  let damagedBytes = 0
  while (at < bytes.length) {
    const found = nextRecord(bytes, at)
    if (found === undefined) return { head, records, tornBytes: bytes.length - at, damagedBytes }
    damagedBytes += found.start - at
    if (found.value.type === 'head') head ??= found.value
    else records.push(found.value)
    at = found.end
  }
  return { head, records, tornBytes: 0, damagedBytes }
}

interface Found {
  readonly start: number
  readonly end: number
  readonly value: StandInRecord | JournalHead
}

/** The first good record at or after a position. */
function nextRecord(bytes: Buffer, from: number): Found | undefined {
  for (let start = bytes.indexOf(MARK, from); start >= 0; start = bytes.indexOf(MARK, start + 1)) {
    if (start + PREFIX_BYTES > bytes.length) return undefined
    const end = start + PREFIX_BYTES + bytes.readUInt32BE(start + 4)
    if (end > bytes.length || end - start > PREFIX_BYTES + RECORD_BYTES_MAX) continue
    const payload = bytes.subarray(start + PREFIX_BYTES, end)
    if (crc32(payload) !== bytes.readUInt32BE(start + 8)) continue
    return { start, end, value: JSON.parse(payload.toString('utf8')) as Found['value'] }
  }
  return undefined
}
