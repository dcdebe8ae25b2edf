/** Messages as bakeries, grocers and clinics send them. */
import { formatPrivateData } from '../../src/iso8583/privateData.ts'
import { amount, at, type Fields } from '../support/switch.ts'

/** What a loaf costs the holder, piasters (config/programme.json). */
export const LOAF_PRICE = 20

/** DE 48. */
export function data(values: Readonly<Record<string, string | number | undefined>>): string {
  return formatPrivateData(
    Object.entries(values).flatMap(([tag, value]) => (value === undefined ? [] : [{ tag, value: String(value) }])),
  )
}

/** Bread at the first bakery, which is in governorate 3: so many loaves for so many days. */
export function bread(pan: string, loaves: number, days = 1, overrides: Fields = {}): Fields {
  return {
    2: pan,
    3: '009700',
    4: amount(loaves * LOAF_PRICE),
    48: data({ LV: loaves, DY: days }),
    ...at('bakery'),
    ...overrides,
  }
}

/** Goods at the first grocer, as `item*count*piasters`. */
export function ration(pan: string, basket: readonly string[], overrides: Fields = {}, partial = false): Fields {
  const total = basket.reduce((sum, line) => sum + Number(line.split('*')[2]), 0)
  return {
    2: pan,
    3: '009800',
    4: amount(total),
    48: data({ BK: basket.map((line) => `${line};`).join(''), PC: partial ? '1' : undefined }),
    ...at('grocer'),
    ...overrides,
  }
}

export function points(pan: string, piasters: number, overrides: Fields = {}): Fields {
  return { 2: pan, 3: '009500', 4: amount(piasters), ...at('grocer'), ...overrides }
}

/** Is the person covered? `fingerprint` is DE 48 BR; undefined: the clinic has no reader. */
export function eligibility(pan: string, fingerprint: string | undefined = 'M', overrides: Fields = {}): Fields {
  return { 2: pan, 3: '319400', 4: amount(0), 48: orNone({ BR: fingerprint }), ...at('clinic'), ...overrides }
}

/** A clinic's bill in piasters. */
export function copay(pan: string, bill: number, serviceClass: string | undefined, overrides: Fields = {}): Fields {
  return { 2: pan, 3: '009400', 4: amount(bill), 48: orNone({ BR: 'M', SC: serviceClass }), ...at('clinic'), ...overrides }
}

function orNone(values: Readonly<Record<string, string | undefined>>): string | undefined {
  const text = data(values)
  return text === '' ? undefined : text
}
