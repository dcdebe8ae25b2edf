/**
 * What may be shown of a field. Of a card number the first six and last four digits (PCI DSS 4.0 req. 3.4.1), of a
 * track only its card number, so masked, of PIN blocks and expiry dates nothing.
 */
import { luhnCheckDigit, maskPan } from '../card.ts'
import { parsePrivateData, SECRET_TAGS } from './privateData.ts'
import { emvTagName } from './emvTags.ts'
import type { FieldSpec } from './messageSpec.ts'

/** The text of a field as it may be printed or logged. DE 55 is not shown as a whole: see maskTlv for its objects. */
export function maskField(field: FieldSpec, text: string): string {
  switch (field.de) {
    case 2:
    case 34:
      return maskPan(text)
    case 14:
    case 36:
    case 52:
      return hide(text)
    case 35:
    case 45:
      return maskTrack(text)
    case 48:
      return maskPrivateData(text)
    case 53:
      // As digits it says how the message is secured; as bytes it carries keys.
      return field.type === 'b' ? hide(text) : text
    case 42:
      return maskLongNumbers(text, isLuhn)
    case 55:
      return `${String(text.length / 2)} bytes`
    case 54:
    case 90:
    case 95:
      return text
    default:
      return field.type === 'n' || field.type === 'x+n' || field.type === 'b' ? text : maskText(text)
  }
}

/**
 * A value of DE 55, upper-case hexadecimal, as it may be shown. A tag without a name here may be a card's tag that was
 * damaged on the way: its value is hidden.
 */
export function maskTlv(tag: string, hex: string): string {
  switch (tag) {
    case '5A':
      return maskPan(hex.replace(/F+$/, ''))
    case '57':
    case '9F6B':
      return maskTrack(hex.replace(/F+$/, ''))
    case '56':
    case '5F20':
    case '5F24':
    case '99':
    case '9F0B':
    case '9F1F':
    case '9F20':
      return hide(hex)
    default:
      return emvTagName(tag) === undefined ? hide(hex) : maskLongNumbers(hex, isLuhn)
  }
}

/** Free text as it may be shown, whole or a part of a field's. */
function maskText(text: string): string {
  return maskLongNumbers(text)
}

/** Whether a single wrong byte of a field may be told: not where it may be one of a card number, a track or a PIN. */
export function isSensitive(de: number): boolean {
  return SENSITIVE.has(de)
}

const SENSITIVE: ReadonlySet<number> = new Set([2, 14, 34, 35, 36, 45, 52, 53, 55])

function hide(text: string): string {
  return '*'.repeat(text.length)
}

/** PIN blocks, keys and card values in DE 48 are hidden; of one that cannot be read nothing is shown. */
function maskPrivateData(text: string): string {
  const parsed = parsePrivateData(text)
  if (!parsed.ok) return hide(text)
  const masked = parsed.value.map(({ tag, value }) => tag + String(value.length).padStart(3, '0') + maskPrivateDatum(tag, value))
  // Tags and lengths are digits too: what is no card number in any part may look like one as a whole.
  return maskText(masked.join(''))
}

/** A value of DE 48 as it may be shown. */
export function maskPrivateDatum(tag: string, value: string): string {
  return SECRET_TAGS.includes(tag) ? hide(value) : maskText(value)
}

/** Tracks 1 and 2 (ISO/IEC 7813): format code, PAN, separator; nothing behind the PAN is shown. */
function maskTrack(text: string): string {
  const [, code = '', pan] = /^([A-Z%]*)(\d{12,19})[=D^]/.exec(text) ?? []
  return pan === undefined ? hide(text) : code + maskPan(pan) + hide(text.slice(code.length + pan.length))
}

/** A card number may stand where none belongs: any long run of digits is treated as one. */
function maskLongNumbers(text: string, isPan: (digits: string) => boolean = () => true): string {
  return text.replace(/\d{13,}/g, (digits) => (isPan(digits) ? maskPan(digits) : digits))
}

/** ISO/IEC 7812-1 annex B. */
function isLuhn(digits: string): boolean {
  return luhnCheckDigit(digits.slice(0, -1)) === digits.at(-1)
}
