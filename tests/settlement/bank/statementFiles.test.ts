/** Files of bank statements are read whole or refused, whatever is in them. */
import { describe, expect, it } from 'vitest'
import { silentLogger } from '../../../src/log.ts'
import { matchByAmount, matchEntries, type Expectation } from '../../../src/settlement/bank/matching.ts'
import { matchStatements } from '../../../src/settlement/bank/matchStatement.ts'
import { PAYOUT_BOOK } from '../../../src/settlement/payoutBook.ts'
import { readStatementFile, type StatementFormat } from '../../../src/settlement/bank/importStatements.ts'
import type { StatementEntry } from '../../../src/settlement/bank/statement.ts'
import { ACCOUNT, camt, closingOf, csv, type FileStatement } from './statementFiles.ts'

const LIMITS = { fileBytesMax: 200_000, entriesMax: 50, accounts: [ACCOUNT] }

async function* piecesOf(file: string | Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  const bytes = typeof file === 'string' ? Buffer.from(file) : file
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

function read(file: string | Uint8Array, format: StatementFormat = 'camt.053', size = 1000) {
  return readStatementFile(format, piecesOf(file, size), LIMITS)
}

async function refusalOf(file: string | Uint8Array, format?: StatementFormat): Promise<string> {
  const outcome = await read(file, format)
  return outcome.ok ? 'taken' : outcome.refusal.name
}

const DAY: FileStatement = {
  id: 'S-1',
  opening: '-50.00',
  entries: [
    { amount: '1050.25', endToEndId: 'CLAIM-1210-20261130', text: 'bread &amp; more' },
    { amount: '-300.5', endToEndId: 'P-1' },
    { amount: '300.50', endToEndId: 'P-1', returnReason: 'AC04' },
  ],
}

describe('camt.053', () => {
  it.each([2, 3, 4, 5, 6, 7, 8])('of version %i is read', async (version) => {
    const outcome = await read(camt([{ ...DAY, version }]))
    expect(outcome).toMatchObject({
      ok: true,
      value: [
        {
          ...{ account: ACCOUNT, statementId: 'S-1', from: '2026-12-01', until: '2026-12-01', opening: -5000, closing: 100_025 },
          entries: [
            { credit: true, amount: 105_025, references: ['CLAIM-1210-20261130'], text: 'bread & more', returnReason: null },
            { credit: false, amount: 30_050, references: ['P-1'], bankReference: 'B1' },
            { credit: true, amount: 30_050, returnReason: 'AC04' },
          ],
        },
      ],
    })
  })

  it('keeps no long number of a text: it may be a card, a mobile or a national ID', async () => {
    const outcome = await read(
      camt([{ id: 'S', entries: [{ amount: '1', text: 'from 01012345678 for 28005170300015, CLAIM-1210-20261201' }] }]),
    )
    expect(outcome.ok && outcome.value[0]?.entries[0]?.text).toBe('from *******5678 for **********0015, CLAIM-1210-20261201')
  })

  it('is read the same in whatever pieces it comes', async () => {
    const whole = await read(camt([DAY]), 'camt.053', 1_000_000)
    for (const size of [1, 7, 64]) expect(await read(camt([DAY]), 'camt.053', size)).toEqual(whole)
  })

  it.each([2, 8])('of version %i: each payment of an entry with several is one', async (version) => {
    const details = [
      { amount: '10.00', endToEndId: 'P-1' },
      { amount: '20.00', endToEndId: 'P-2' },
    ]
    const summary = '<TtlNtries><NbOfNtries>1</NbOfNtries></TtlNtries>'
    const outcome = await read(camt([{ id: 'S', version, summary, entries: [{ amount: '-30.00', details }] }]))
    expect(outcome).toMatchObject({
      ok: true,
      value: [
        {
          entries: [
            { amount: 1000, credit: false, references: ['P-1'] },
            { amount: 2000, references: ['P-2'] },
          ],
        },
      ],
    })
    const wrong = details.map((detail) => ({ ...detail, amount: '20.00' }))
    expect(await refusalOf(camt([{ id: 'S', version, entries: [{ amount: '-30.00', details: wrong }] }]))).toBe(
      'details-do-not-add-up',
    )
  })

  it.each([
    ['number', '<TtlNtries><NbOfNtries>3</NbOfNtries><Sum>1651.25</Sum></TtlNtries>', 'taken'],
    ['number', '<TtlNtries><NbOfNtries>4</NbOfNtries></TtlNtries>', 'wrong-control-sum'],
    ['sum', '<TtlNtries><Sum>1651.26</Sum></TtlNtries>', 'wrong-control-sum'],
    ['net', '<TtlNtries><TtlNetNtry><Amt>1050.25</Amt><CdtDbtInd>CRDT</CdtDbtInd></TtlNetNtry></TtlNtries>', 'taken'],
    ['net', '<TtlNtries><TtlNetNtry><Amt>1050.25</Amt><CdtDbtInd>DBIT</CdtDbtInd></TtlNetNtry></TtlNtries>', 'wrong-control-sum'],
    ['old net', '<TtlNtries><TtlNetNtryAmt>1050.25</TtlNetNtryAmt><CdtDbtInd>CRDT</CdtDbtInd></TtlNtries>', 'taken'],
    ['credits', '<TtlCdtNtries><NbOfNtries>2</NbOfNtries><Sum>1350.75</Sum></TtlCdtNtries>', 'taken'],
    ['credits', '<TtlCdtNtries><Sum>1350.74</Sum></TtlCdtNtries>', 'wrong-control-sum'],
    ['debits', '<TtlDbtNtries><NbOfNtries>2</NbOfNtries></TtlDbtNtries>', 'wrong-control-sum'],
  ])('a summary of the %s is proved: %s', async (_, summary, expected) => {
    expect(await refusalOf(camt([{ ...DAY, summary }]))).toBe(expected)
  })

  const good = camt([DAY])
  it.each([
    [
      'an opening balance that does not lead to the closing one',
      camt([{ ...DAY, closing: '1000.26' }]),
      'balances-do-not-add-up',
    ],
    ['an account that is not ours', camt([{ ...DAY, account: 'EG999' }]), 'unknown-account'],
    ['an amount with three decimals', camt([{ id: 'S', entries: [{ amount: '1.000' }] }]), 'too-many-decimals'],
    ['an amount with a sign', good.replace('>1050.25<', '>-1050.25<'), 'not-an-amount'],
    ['an amount in letters', good.replace('>1050.25<', '>1e3<'), 'not-an-amount'],
    ['an amount without end', good.replace('>1050.25<', `>${'9'.repeat(40)}<`), 'not-an-amount'],
    ['an amount of nothing', camt([{ id: 'S', entries: [{ amount: '0.00' }] }]), 'not-an-amount'],
    ['dollars', good.replace('Ccy="EGP">1050', 'Ccy="USD">1050'), 'wrong-currency'],
    ['an account in dollars', good.replace('<Ccy>EGP', '<Ccy>USD'), 'wrong-currency'],
    ['an entry that is not booked', camt([{ id: 'S', entries: [{ amount: '1.00', status: 'PDNG' }] }]), 'not-booked'],
    ['no closing balance', good.replace('>CLBD<', '>ITBD<'), 'no-balance'],
    ['a day that there is not', good.replace('2026-12-01', '2026-02-30'), 'not-a-date'],
    ['no direction', good.replace('<CdtDbtInd>CRDT', '<CdtDbtInd>BOTH'), 'not-a-statement'],
    ['one page of two', camt([DAY], '<MsgPgntn><PgNb>1</PgNb><LastPgInd>false</LastPgInd></MsgPgntn>'), 'one-page-of-several'],
    ['another message', good.replace('camt.053.001.08', 'camt.054.001.08'), 'not-a-statement'],
    ['a version to come', good.replace('camt.053.001.08', 'camt.053.001.09'), 'not-a-statement'],
    ['no statement', camt([]), 'not-a-statement'],
    ['nothing', '', 'not-xml'],
    ['no XML', 'MT940', 'not-xml'],
    ['a DOCTYPE', good.replace('<Document', '<!DOCTYPE Document><Document'), 'doctype'],
    [
      'an entity of its own, many times over',
      good
        .replace('<Document', '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><Document')
        .replace('bread', '&b;'),
      'doctype',
    ],
    [
      'an entity of a file of ours',
      good.replace('<Document', '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><Document').replace('bread', '&f;'),
      'doctype',
    ],
    ['an entity that nobody defined', good.replace('bread', '&f;'), 'not-xml'],
    ['another encoding', good.replace('UTF-8', 'ISO-8859-6'), 'not-utf-8'],
    ['bytes that are no UTF-8', Buffer.concat([Buffer.from(good), Buffer.from([0xff])]), 'not-utf-8'],
    ['elements without end in each other', good.replace('<Stmt>', `<Stmt>${'<a>'.repeat(100)}`), 'not-a-statement'],
    ['a value without end', good.replace('bread', 'x'.repeat(5000)), 'value-too-long'],
    ['more bytes than a file has', good.replace('<Stmt>', `<Stmt>${' '.repeat(200_000)}`), 'file-too-large'],
    [
      'more entries than a statement has',
      camt([{ id: 'S', entries: Array.from({ length: 51 }, () => ({ amount: '1' })) }]),
      'too-many-entries',
    ],
  ])('with %s is refused', async (_, file, expected) => {
    expect(await refusalOf(file)).toBe(expected)
  })

  it('that is cut off anywhere is refused', async () => {
    for (let length = 0; length < good.trimEnd().length; length += 97)
      expect(await refusalOf(good.slice(0, length))).toBe('not-xml')
  })
})

describe('CSV', () => {
  it('says the same as camt.053', async () => {
    const [xml, text] = [await read(camt([DAY])), await read(csv(DAY), 'csv')]
    const entriesOf = (outcome: typeof xml) =>
      outcome.ok
        ? outcome.value.flatMap(({ entries }) =>
            entries.map(({ credit, amount, references }) => ({ credit, amount, references })),
          )
        : []
    expect(entriesOf(text)).toEqual(entriesOf(xml))
    expect(text).toMatchObject({ ok: true, value: [{ opening: -5000, closing: 100_025, statementId: 'S-1' }] })
  })

  const good = csv(DAY)
  const lines = good.split('\r\n')
  it.each([
    ['another header', good.replace('record,', 'kind,'), 'unknown-header'],
    ['its last row missing', lines.slice(0, -2).join('\r\n'), 'file-cut-off'],
    ['only a header', `${lines[0]!}\r\n`, 'not-a-statement'],
    ['nothing', '', 'file-cut-off'],
    ['a row missing', lines.toSpliced(3, 1).join('\r\n'), 'wrong-control-sum'],
    ['a row twice', lines.toSpliced(3, 0, lines[3]!).join('\r\n'), 'wrong-control-sum'],
    ['another closing balance', csv({ ...DAY, closing: closingOf(DAY).replace('25', '26') }), 'balances-do-not-add-up'],
    ['three decimals', good.replace('1050.25', '1050.250'), 'too-many-decimals'],
    ['no number of entries', good.replace('EGP,3,', 'EGP,,'), 'wrong-control-sum'],
    ['a quote that is not closed', good.replace('"bread', 'x"bread'), 'broken-row'],
    ['a column too few', good.replace('EGP,3,', 'EGP,'), 'broken-row'],
    ['an entry of another statement', good.replace('entry,', `entry,X`), 'not-a-statement'],
    ['a row without end', good.replace('bread', 'x'.repeat(5000)), 'row-too-long'],
  ])('with %s is refused', async (_, file, expected) => {
    expect(await refusalOf(file, 'csv')).toBe(expected)
  })
})

describe('entries and what is expected', () => {
  const entry = (more: Partial<StatementEntry>): StatementEntry => ({
    ...{ credit: false, amount: 1000, bookedOn: '2026-12-03', valueOn: null, references: [], bankReference: null },
    ...{ counterparty: null, text: null, returnReason: null },
    ...more,
  })
  const expected = (more: Partial<Expectation>): Expectation => ({
    ...{
      kind: 'payout',
      what: 'P-1',
      credit: false,
      amount: 1000,
      references: ['P-1'],
      day: '2026-12-01',
      byAmount: true,
      daysMax: 5,
    },
    ...more,
  })
  const found = (entries: readonly StatementEntry[], expectations: readonly Expectation[]): string[] =>
    matchEntries(entries, expectations).map((match) =>
      match.expectation === null ? match.reason : `${match.expectation.kind} ${match.expectation.what} by ${match.by}`,
    )

  it('match by reference before amount, once', () => {
    const other = expected({ what: 'P-2', references: ['P-2'] })
    expect(found([entry({}), entry({ references: ['P-1'] }), entry({ references: ['P-1'] })], [expected({}), other])).toEqual([
      'payout P-2 by amount',
      'payout P-1 by reference',
      'not-expected',
    ])
  })

  it('do not match by amount where two fit, or the dates lie apart', () => {
    const other = expected({ what: 'P-2', references: ['P-2'] })
    expect(found([entry({})], [expected({}), other])).toEqual(['several-fit'])
    expect(found([entry({}), entry({})], [expected({})])).toEqual(['several-fit', 'several-fit'])
    expect(found([entry({ bookedOn: '2026-12-07' })], [expected({})])).toEqual(['unknown'])
    expect(found([entry({ bookedOn: '2026-12-07', valueOn: '2026-12-06' })], [expected({})])).toEqual(['payout P-1 by amount'])
  })

  it('are not each compared with each, where thousands are of one amount', () => {
    let looks = 0
    const counted = <T extends object>(one: T): T =>
      new Proxy(one, {
        get: (target, name) => {
          if (++looks > 2_000_000) throw new Error('each is compared with each')
          return Reflect.get(target, name) as unknown
        },
      })
    const fees = Array.from({ length: 20_000 }, () => counted(entry({})))
    const many = Array.from({ length: 20_000 }, (_, index) => counted(expected({ what: String(index), day: '2026-11-01' })))
    const [unknown, several, alone] = [matchByAmount(fees, many), matchByAmount(fees, [expected({})]), matchByAmount([], many)]
    expect(new Set(unknown.map((match) => match.expectation ?? match.reason))).toEqual(new Set(['unknown']))
    expect(new Set(several.map((match) => match.expectation ?? match.reason))).toEqual(new Set(['several-fit']))
    expect(alone).toEqual([])
  })

  it('of a statement that cannot be matched keep no other from being matched', async () => {
    const arrivals = ['S-1', 'S-2', 'S-3'].map((statementId) => ({ account: ACCOUNT, statementId }))
    let tries = 0
    const desk = {
      read: () => Promise.resolve(arrivals as never),
      upkeep: () => (tries++ === 1 ? Promise.reject(new Error('lost')) : Promise.resolve(false as never)),
    }
    const context = { payouts: PAYOUT_BOOK, limits: { dateDaysMax: 5, claimDaysMax: 60 }, log: silentLogger }
    await expect(matchStatements(desk, context, {})).rejects.toThrow('lost')
    expect(tries).toBe(3)
  })

  it('match no payout with another amount, and no other direction', () => {
    expect(found([entry({ references: ['P-1'], amount: 999 })], [expected({})])).toEqual(['amount-differs'])
    expect(found([entry({ credit: true })], [expected({})])).toEqual(['unknown'])
  })

  it('that came back are returns of what they name, and nothing else', () => {
    const back = expected({ kind: 'payout-return', credit: true, byAmount: false })
    const came = entry({ credit: true, references: ['P-1'], returnReason: 'AC04' })
    expect(found([came], [expected({}), back])).toEqual(['payout-return P-1 by reference'])
    expect(found([{ ...came, references: [] }], [back])).toEqual(['unknown'])
    expect(found([{ ...came, returnReason: null }], [back])).toEqual(['not-expected'])
  })

  it('that name what is not expected any more are not taken for something else of the amount', () => {
    const next = expected({ what: 'P-2', references: ['P-2'] })
    const named = (settled: readonly string[]): unknown =>
      matchEntries([entry({ references: ['P-1'] })], [next], new Set(settled)).map(
        (match) => match.expectation?.what ?? (match.expectation === null && match.reason),
      )
    expect(named(['P-1'])).toEqual(['not-expected'])
    expect(named([])).toEqual(['P-2'])
  })

  it('pay claims in part where they name them', () => {
    const claim = expected({ kind: 'claims', credit: true, references: ['C'], partly: true, daysMax: 60 })
    const part = entry({ credit: true, references: ['C'], amount: 400 })
    expect(found([part, part], [claim])).toEqual(['claims P-1 by reference', 'claims P-1 by reference'])
    expect(found([{ ...part, amount: 1001 }], [claim])).toEqual(['amount-differs'])
    expect(found([{ ...part, references: [] }], [claim])).toEqual(['unknown'])
  })
})
