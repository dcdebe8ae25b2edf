/** National IDs and mobiles as people write them, and what is wrong with one that is none. */
import { cairoDay } from '../clock.ts'
import { done, refused, type Outcome } from '../ledger/programme/desk.ts'
import { BIRTH_GOVERNORATES, Mobile, NationalId } from '../personalData.ts'

/** Arabic-Indic (U+0660) and Eastern Arabic-Indic (U+06F0) digits become those of ASCII; marks of direction and blanks around are left out. */
export function westernDigits(text: string): string {
  return text
    .replace(/[\u0660-\u0669]/g, (digit) => String(digit.charCodeAt(0) - 0x0660))
    .replace(/[\u06f0-\u06f9]/g, (digit) => String(digit.charCodeAt(0) - 0x06f0))
    .replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g, '')
    .trim()
}

/** @param nowMs nobody was born later than the Cairo day of this instant @param field JSON pointer, or a column */
export function parseNationalId(text: string, nowMs: number, field: string): Outcome<NationalId> {
  const digits = westernDigits(text)
  const wrong = (detail: string): Outcome<never> => refused('invalid', 'not-a-national-id', detail, field)
  if (!/^\d{14}$/.test(digits)) return wrong('A national ID has 14 digits.')
  if (!/^[23]/.test(digits)) return wrong('The first digit of a national ID is the century of birth: 2 for 19.., 3 for 20..')
  if (!BIRTH_GOVERNORATES.includes(digits.slice(7, 9)))
    return wrong('Digits 8 and 9 of a national ID are a governorate of birth, or 88 for abroad.')
  const nationalId = NationalId.parse(digits)
  if (nationalId === undefined) return wrong('Digits 2 to 7 of a national ID are a date of birth: year, month, day.')
  if (nationalId.birthDate > cairoDay(nowMs)) return wrong('The date of birth in the national ID is in the future.')
  return done(nationalId)
}

export function parseMobile(text: string, field: string): Outcome<Mobile> {
  const mobile = Mobile.parse(westernDigits(text))
  return mobile === undefined
    ? refused(
        'invalid',
        'not-a-mobile',
        'A mobile number is Egyptian: 010, 011, 012 or 015 and eight digits, or +20 before it.',
        field,
      )
    : done(mobile)
}
