/** What is written for banks and merchants, and what is read from whoever types a bank account: without a ledger. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isBic, maskIban, parseIban } from '../../src/settlement/bankAccount.ts'
import { csvLine } from '../../src/settlement/csv.ts'
import { statementPage } from '../../src/settlement/merchantStatementPage.ts'
import type { ShownStatement } from '../../src/settlement/merchantStatementShown.ts'
import { pain001, type Payment, type PaymentMessage } from '../../src/settlement/pain001.ts'
import { egyptianIban } from './outlets.ts'

describe('an IBAN', () => {
  // From the registry of ISO 13616 (SWIFT): one of Egypt, and of others for their letters and lengths.
  it.each([
    ['EG380019000500000000263180002'],
    ['GB29NWBK60161331926819'],
    ['NO9386011117947'],
    ['MT84MALT011000012345MTLCAST001S'],
    ['SA03 8000 0000 6080 1016 7519'],
  ])('%s is one', (text) => {
    expect(parseIban(text)).toBe(text.replaceAll(' ', ''))
    expect(parseIban(text.toLowerCase())).toBe(text.replaceAll(' ', ''))
  })

  it.each([
    ['', 'empty'],
    ['EG38001900050000000026318000', 'one digit too few'],
    ['EG3800190005000000002631800021', 'one too many'],
    ['EG380019000500000000263180003', 'another last digit'],
    ['EG38A019000500000000263180002', 'a letter where Egypt has none'],
    ['EG38٠٠19000500000000263180002', 'Arabic digits'],
    ['GB01NWBK60161331926819', 'check digits of another remainder'],
    ['380019000500000000263180002EG', 'no country'],
  ])('%s is none: %s', (text) => {
    expect(parseIban(text)).toBeUndefined()
  })

  it('is none with any one digit changed, or two neighbours changed for each other', () => {
    fc.assert(
      fc.property(fc.nat(10 ** 15), fc.integer({ min: 2, max: 27 }), fc.integer({ min: 1, max: 9 }), (account, at, step) => {
        const iban = egyptianIban(account)
        expect(parseIban(iban)).toBe(iban)
        const other = String((Number(iban[at]) + step) % 10)
        expect(parseIban(iban.slice(0, at) + other + iban.slice(at + 1))).toBeUndefined()
        const swapped = iban.slice(0, at) + (iban[at + 1] ?? '') + (iban[at] ?? '') + iban.slice(at + 2)
        expect(parseIban(swapped) === undefined).toBe(swapped !== iban)
      }),
    )
  })

  it('is masked so that the owner knows it and nobody else has it', () => {
    expect(maskIban('EG380019000500000000263180002')).toBe('EG380019*****************0002')
  })

  it('goes with a BIC of 8 or 11 characters', () => {
    expect(['NBEGEGCX', 'NBEGEGCX331'].every(isBic)).toBe(true)
    expect(['NBEGEGC', 'nbegegcx', 'NBEG12CX', 'NBEGEGCX3310'].some(isBic)).toBe(false)
  })
})

const MESSAGE: PaymentMessage = {
  ...{ messageId: 'SARF-12-20261203090000', createdAtMs: Date.parse('2026-12-03T09:00:00Z'), executionDay: '2026-12-03' },
  debtor: { name: 'Post', iban: 'EG310003000100000000000000017', bic: null },
  ...{ count: 2, sum: 300 },
}
const payment = (amount: number): Payment => ({
  ...{ endToEndId: 'E', amount, iban: 'EG380019000500000000263180002', bic: null, holderName: 'B', acceptorId: 'A' },
  untilDay: '2026-12-02',
})

describe('a payment file', () => {
  it.each([
    ['a payment is missing', [100]],
    ['an amount is another', [100, 201]],
    ['there is one too many', [100, 200, 100]],
  ])('is cut off where %s', async (_, amounts) => {
    const chunks: string[] = []
    const write = async (): Promise<void> => {
      const payments = (async function* () {
        yield await Promise.resolve(amounts.map(payment))
      })()
      for await (const chunk of pain001(MESSAGE, payments)) chunks.push(chunk)
    }
    await expect(write()).rejects.toThrow('control sums')
    expect(chunks.join('')).not.toContain('</Document>')
  })
})

it('a line of CSV holds no formula and no line break of its own', () => {
  expect(csvLine(['=1+1', '+2', '@x', 'a,b', 'c"d', 'e\r\nf', 'مخبز', { plain: '-12.50' }])).toBe(
    `'=1+1,'+2,'@x,"a,b","c""d","e\r\nf",مخبز,-12.50\r\n`,
  )
})

const STATEMENT: ShownStatement = {
  ...{ acceptorId: 'A<1>', name: 'مخبز "الميناء" <img src=x>', category: '5462', governorate: 3, day: '2026-12-02' },
  opening: '-1250.50',
  lines: [{ source: 'treasury-bread', transfers: 1200, received: '1234567.05', givenBack: '0.00', net: '1234567.05' }],
  payouts: [{ endToEndId: 'SARF-12-20261203090000-1', untilDay: '2026-12-01', amount: '10.00' }],
  closing: '1233306.55',
  units: [{ unit: 'LOAF', transfers: 1200, handedOut: '6000', givenBack: '5', net: '5995' }],
  control: { transfers: 1200, received: '1234567.05', givenBack: '0.00', paidOut: '10.00' },
}

describe('the page of a statement', () => {
  it('is in Arabic from right to left, with the numbers of Egypt', () => {
    const page = statementPage(STATEMENT, 'ar')
    for (const part of ['<html lang="ar" dir="rtl">', '١٬٢٣٤٬٥٦٧٫٠٥', '\u061c-١٬٢٥٠٫٥٠', 'الخبز المدعم', 'رغيف', '٥٬٩٩٥'])
      expect(page).toContain(part)
    // Ids stay as machines have them.
    expect(page).toContain('<bdi dir="ltr">SARF-12-20261203090000-1</bdi>')
  })

  it('is in English from left to right, and nothing from outside is markup', () => {
    const page = statementPage(STATEMENT, 'en')
    for (const part of ['<html lang="en" dir="ltr">', '1,234,567.05', '-1,250.50', 'Treasury, subsidised bread', 'Loaves'])
      expect(page).toContain(part)
    expect(page).not.toMatch(/<img|<1>|https?:/)
  })
})
