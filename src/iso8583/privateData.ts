/**
 * DE 48, additional data, private: a list of `TTLLLV...`, tag of two characters, length of three digits, value.
 *
 * Requests: `LV` loaves, `DY` days drawn, `BK` basket lines (`item*qty*amount;`), `BR` fingerprint result, `BM` its
 * modality, `SC` health service class, `PC` partial approval accepted; `C2` the printed card verification value, `PF` format of the PIN block,
 * `PB` a block too long for DE 52, `NP` that of a new PIN, `KS` key serial number (DUKPT); `KB` a key block and `KC` its check value (key
 * change); `HR` why a card is hot and `RF` the number of the report (0302). Answers: `TR` tries left, `CV` cover, `RM` reason, `KC`, `HR`.
 * Results only: a fingerprint template never enters a message. Unknown tags are kept, in order, and ignored.
 */
import { fault, type Fault, type Parsed } from './fault.ts'

export interface PrivateDatum {
  readonly tag: string
  readonly value: string
}

export function parsePrivateData(text: string): Parsed<PrivateDatum[]> {
  const data: PrivateDatum[] = []
  let at = 0
  while (at < text.length) {
    const length = dataLength(text, at)
    if (typeof length !== 'number') return { ok: false, error: length }
    const tag = text.slice(at, at + 2)
    const value = text.slice(at + HEADER_LENGTH, at + HEADER_LENGTH + length)
    const wrong = wrongValue(tag, value, at, data)
    if (wrong !== undefined) return { ok: false, error: wrong }
    data.push({ tag, value })
    at += HEADER_LENGTH + length
  }
  return { ok: true, value: data }
}

/** The value of the first `tag`, undefined where there is none. */
export function privateDatum(data: readonly PrivateDatum[], tag: string): string | undefined {
  return data.find((datum) => datum.tag === tag)?.value
}

/** @throws RangeError where a tag or value cannot be written: a mistake of the caller */
export function formatPrivateData(data: readonly PrivateDatum[]): string {
  return data
    .map(({ tag, value }) => {
      if (!TAG.test(tag) || value.length > 999)
        throw new RangeError(`not a private datum: ${tag}, ${String(value.length)} characters`)
      return tag + String(value.length).padStart(3, '0') + value
    })
    .join('')
}

const HEADER_LENGTH = 5
const TAG = /^[A-Za-z0-9]{2}$/

/** What a known tag's value looks like; a tag without an entry may hold anything. */
const VALUES: Readonly<Record<string, { readonly pattern: RegExp; readonly expected: string }>> = {
  LV: { pattern: /^\d{1,3}$/, expected: 'a number of loaves, one to three digits' },
  DY: { pattern: /^\d{1,2}$/, expected: 'a number of days, one or two digits' },
  // Counts and amounts that a number holds exactly; an amount has the digits of DE 4.
  BK: { pattern: /^([^*;]+\*\d{1,9}\*\d{1,12};)+$/, expected: 'basket lines item*qty*amount;' },
  BR: { pattern: /^[MXNF]$/, expected: 'M match, X mismatch, N no capture or F device fault' },
  C2: { pattern: /^\d{3}$/, expected: 'three digits' },
  PF: { pattern: /^[034]$/, expected: '0, 3 or 4' },
  PB: { pattern: /^[0-9A-F]{32}$/, expected: '32 hexadecimal digits' },
  NP: { pattern: /^([0-9A-F]{16}){1,2}$/, expected: '16 or 32 hexadecimal digits' },
  KS: { pattern: /^([0-9A-F]{20}|[0-9A-F]{24})$/, expected: '20 or 24 hexadecimal digits' },
  KC: { pattern: /^[0-9A-F]{6}$/, expected: '6 hexadecimal digits' },
}
const KNOWN_TAGS = new Set([
  ...['LV', 'DY', 'BK', 'BR', 'BM', 'SC', 'PC', 'TR', 'CV', 'RM'],
  ...['C2', 'PF', 'PB', 'NP', 'KS', 'KB', 'KC', 'HR', 'RF'],
])

/** Data of DE 48 that are never shown. */
export const SECRET_TAGS: readonly string[] = ['C2', 'PB', 'NP', 'KB']

function dataLength(text: string, at: number): number | Fault {
  const tag = text.slice(at, at + 2)
  if (text.length - at < HEADER_LENGTH) {
    return fault(
      'truncated',
      '',
      at,
      'a tag of two characters and a length of three digits',
      `${String(text.length - at)} characters`,
    )
  }
  if (!TAG.test(tag)) return fault('bad-structure', '', at, 'a tag of two letters or digits', 'other characters')
  const digits = text.slice(at + 2, at + HEADER_LENGTH)
  if (!/^\d{3}$/.test(digits)) return fault('bad-length', tag, at + 2, 'a length of three digits', 'other characters')
  const length = Number(digits)
  const left = text.length - at - HEADER_LENGTH
  if (length > left)
    return fault('truncated', tag, at + HEADER_LENGTH, `${String(length)} characters`, `${String(left)} characters`)
  return length
}

function wrongValue(tag: string, value: string, at: number, before: readonly PrivateDatum[]): Fault | undefined {
  if (KNOWN_TAGS.has(tag) && before.some((datum) => datum.tag === tag)) {
    return fault('duplicate-tag', tag, at, `${tag} once`, `${tag} again`)
  }
  const rule = VALUES[tag]
  if (rule === undefined || rule.pattern.test(value)) return undefined
  return fault('bad-value', tag, at + HEADER_LENGTH, rule.expected, `${String(value.length)} characters of another form`)
}
