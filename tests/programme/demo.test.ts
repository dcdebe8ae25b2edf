import { describe, expect, it } from 'vitest'
import { Pan } from '../../src/card.ts'
import { demoCards, demoMemberPan, demoOldPan, demoPan, demoTerminals } from '../../src/programme/demo.ts'

describe('demo card numbers', () => {
  it('are 16 digits with the right check digit, and no two cards have the same', () => {
    const pans = [1, 2, 9, 10, 12_345, 30_000_000, 99_999_999].flatMap((household) => [
      demoPan(household),
      demoOldPan(household),
      ...[2, 3, 4, 5, 6, 7, 8, 9].map((member) => demoMemberPan(household, member)),
    ])
    for (const pan of pans) expect([pan, pan.length, Pan.parse(pan) !== undefined]).toEqual([pan, 16, true])
    expect(new Set(pans).size).toBe(pans.length)
  })

  it('stay what they were: the first head, a member, an old ration card', () => {
    expect([demoPan(11), demoMemberPan(1, 2), demoOldPan(4)]).toEqual([
      '9818010000000119',
      '9818012000000016',
      '9818090000000046',
    ])
    expect(demoMemberPan(11, 1)).toBe(demoPan(11))
  })

  it('are shown with something to try: a head, a member, an old card, and what a card may run into', () => {
    const shown = demoCards.map(({ pan, note }) => `${pan} ${note}`).join('\n')
    for (const pan of [demoPan(1), demoMemberPan(1, 2), demoOldPan(4), demoPan(11)]) expect(shown).toContain(pan)
    expect(demoCards.find(({ pan }) => pan === demoOldPan(4))?.balance).toBeUndefined()
    expect(demoCards.length).toBeLessThanOrEqual(16)
  })
})

describe('demo outlets', () => {
  const outlets = demoTerminals().filter((terminal) => ['grocer', 'bakery', 'clinic'].includes(terminal.class))
  const place = (terminalId: string) => outlets.find((terminal) => terminal.terminalId === terminalId)

  it.each(['GRO00001', 'BAK00001', 'CLN00001', 'BAK00002'])('%s is where the programme began', (terminalId) => {
    expect(place(terminalId)).toMatchObject({ governorate: 3 })
  })

  it('are in all governorates, where other merchants are everywhere', () => {
    for (const wanted of ['grocer', 'bakery']) {
      const governorates = new Set(
        outlets.filter((terminal) => terminal.class === wanted).map((terminal) => terminal.governorate),
      )
      expect([...governorates].toSorted((a, b) => a - b)).toEqual(Array.from({ length: 27 }, (_, index) => index + 1))
    }
    for (const terminal of demoTerminals())
      if (!outlets.some(({ id }) => id === terminal.id)) expect(terminal.governorate).toBe(0)
  })

  it('have one bakery that takes the price from the card', () => {
    expect(demoTerminals().filter((terminal) => terminal.wallet)).toEqual([place('BAK00002')])
  })
})
