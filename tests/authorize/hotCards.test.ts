/** The hotline stops cards by message: 0302 with DE 91 and DE 101 on a link that may send them. */
import { beforeAll, describe, expect, it } from 'vitest'
import { developmentKeys } from '../../src/security/developmentKeys.ts'
import { softwareKeyStore } from '../../src/security/softwareKeys.ts'
import { MacPeer } from '../support/macLink.ts'
import {
  compose,
  startTestSwitch,
  type Fields,
  type Sent,
  type TestCard,
  type TestLink,
  type TestSwitch,
} from '../support/switch.ts'

let running: TestSwitch
let pos: TestLink
let hotline: MacPeer
/** May send file updates, and has no MAC. */
let gateway: TestLink

beforeAll(async () => {
  running = await startTestSwitch({
    configure: (config) => ({
      ...config,
      links: config.links.map((link) => (link.name === 'gateway' ? { ...link, hotCards: true } : link)),
    }),
  })
  pos = await running.connect('pos')
  gateway = await running.connect('gateway')
  hotline = new MacPeer(running, await running.connect('secure'), softwareKeyStore(developmentKeys()).find('mac.secure', 'M6'))
})

const purchase = { 3: '000000', 4: '000000000100' }
const NOTHING: Fields = { 3: undefined, 4: undefined, 41: undefined, 49: undefined }

/** A card onto the file; `more` overrides. */
function update(card: Pick<TestCard, 'pan'>, more: Fields = {}, mti = '0302'): Sent {
  return compose(running.clock, mti, { ...NOTHING, 2: card.pan, 48: 'HR001L', 91: '1', 101: 'HOTCARD', ...more })
}

async function ask(sent: Sent): Promise<[code: string | undefined, told: string | undefined]> {
  const answer = await gateway.send(sent)
  expect(answer.mti).toBe('0312')
  return [answer.text(39), answer.text(48)]
}

async function buy(card: TestCard): Promise<string | undefined> {
  return (await pos.ask('0200', { 2: card.pan, ...purchase })).text(39)
}

const stateOf = async (card: TestCard): Promise<string | undefined> =>
  (await running.sql<{ state: string }>('SELECT state FROM card WHERE token = $1', [card.token]))[0]?.state

describe('a file update of the hotline', () => {
  it.each([
    ['lost', 'L', 'LOST', '41'],
    ['stolen', 'S', 'STOLEN', '43'],
    ['damaged', 'D', 'DAMAGED', '62'],
    ['with a lost PIN', 'P', 'PIN_LOST', '62'],
  ])(
    'of a card that is %s is answered 0312 with a MAC, and the next message of the card is declined',
    async (_, letter, state, code) => {
      const card = await running.openCard()
      expect(await buy(card)).toBe('00')
      const asked = await hotline.ask(update(card, { 48: `HR001${letter}` }))
      expect([asked?.answer.mti, asked?.answer.text(39), asked?.answer.text(48), asked?.right]).toEqual([
        '0312',
        '00',
        `HR001${letter}`,
        'DE 128',
      ])
      expect(asked?.answer.text(101)).toBe('HOTCARD')
      expect(await buy(card)).toBe(code)
      expect(await stateOf(card)).toBe(state)
    },
  )

  it('is done once: its repeats, also at the same time, get the same answer, and there is one event and one audit record', async () => {
    const card = await running.openCard()
    const sent = update(card, { 48: 'HR001LRF008CALL-118' })
    const repeat = { ...sent, mti: '0303' }
    const answers = await Promise.all([sent, repeat, repeat].map((each) => ask(each)))
    expect(answers).toEqual([
      ['00', 'HR001L'],
      ['00', 'HR001L'],
      ['00', 'HR001L'],
    ])
    expect(await ask(repeat)).toEqual(['00', 'HR001L'])
    expect(await running.sql('SELECT kind FROM programme_event WHERE card_token = $1', [card.token])).toEqual([
      { kind: 'card.reported_lost' },
    ])
    expect(
      await running.sql('SELECT actor, action, outcome, detail FROM audit_record WHERE subject = $1', [`card ${card.token}`]),
    ).toEqual([
      { actor: 'link gateway', action: 'card.report', outcome: 'done', detail: '{"what":"lost","reference":"CALL-118"}' },
    ])
  })

  it('with the key of another one is 94', async () => {
    const [card, other] = [await running.openCard(), await running.openCard()]
    const sent = update(card)
    expect((await ask(sent))[0]).toBe('00')
    expect(await ask({ ...sent, fields: { ...sent.fields, 2: other.pan } })).toEqual(['94', 'RM010other_body'])
    expect(await ask({ ...sent, fields: { ...sent.fields, 48: 'HR001S' } })).toEqual(['94', 'RM010other_body'])
    expect(await buy(other)).toBe('00')
  })

  it('of a card that is stopped in this way already is 00, in another way 29; what has ended stays as it is', async () => {
    const card = await running.openCard({ state: 'LOST' })
    expect(await ask(update(card))).toEqual(['00', 'HR001L'])
    expect(await ask(update(card, { 48: 'HR001S' }))).toEqual(['29', 'RM016file_not_updated'])
    const closed = await running.openCard({ state: 'CLOSED' })
    expect(await ask(update(closed))).toEqual(['29', 'RM016file_not_updated'])
    expect([await stateOf(card), await stateOf(closed)]).toEqual(['LOST', 'CLOSED'])
  })

  it('of a card whose PIN is lost may still say that it is stolen', async () => {
    const card = await running.openCard({ state: 'PIN_LOST' })
    expect(await ask(update(card, { 48: 'HR001S', 91: '2' }))).toEqual(['00', 'HR001S'])
  })

  it('of a card that nobody has is 25', async () => {
    expect(await ask(update({ pan: '9818020999999990' }))).toEqual(['25', 'RM014record_unknown'])
  })

  it('never takes a card off the file', async () => {
    const card = await running.openCard({ state: 'LOST' })
    expect(await ask(update(card, { 91: '3' }))).toEqual(['24', 'RM018file_not_supported'])
    expect(await buy(card)).toBe('41')
  })

  it('that asks is told what the file says, and changes nothing', async () => {
    const [fine, lost] = [await running.openCard(), await running.openCard({ state: 'LOST' })]
    expect(await ask(update(lost, { 48: undefined, 91: '5' }))).toEqual(['00', 'HR001L'])
    expect(await ask(update(fine, { 48: undefined, 91: '5' }))).toEqual(['25', undefined])
    expect(await buy(fine)).toBe('00')
    expect(await running.sql('SELECT 1 FROM audit_record WHERE subject = $1', [`card ${fine.token}`])).toEqual([])
  })

  it('stops a card in the middle of its purchases: none that is sent after the answer goes through', async () => {
    const card = await running.openCard({ balance: 100_000 })
    const before = Array.from({ length: 20 }, () => buy(card))
    expect((await ask(update(card)))[0]).toBe('00')
    const after = await Promise.all(Array.from({ length: 20 }, () => buy(card)))
    expect(new Set(after)).toEqual(new Set(['41']))
    for (const code of await Promise.all(before)) expect(['00', '41']).toContain(code)
  })
})

describe('what is no file update of this switch', () => {
  it.each<[string, Fields, string]>([
    ['another file', { 101: 'MERCHANTS' }, '24'],
    ['a bulk update', { 91: '4' }, '24'],
    ['a code that is a letter', { 91: 'X' }, '24'],
    ['a letter that means nothing', { 48: 'HR001X' }, '27'],
    ['a reference with blanks', { 48: 'HR001LRF009CALL  118' }, '27'],
    ['no reason', { 48: undefined }, '30'],
    ['private data of another kind', { 48: 'LV00210' }, '30'],
    ['no card', { 2: undefined }, '30'],
    ['no file update code', { 91: undefined }, '30'],
    ['no file name', { 101: undefined }, '30'],
    ['no trace number', { 7: '1332250000' }, '30'],
    ['a time of last month', { 7: '' }, '12'],
  ])('%s changes nothing', async (_, more, code) => {
    const card = await running.openCard()
    const lastMonth = new Date(running.clock.now() - 30 * 86_400_000).toISOString().replace(/\D/g, '').slice(4, 14)
    const sent = update(card, more[7] === '' ? { 7: lastMonth } : more)
    expect((await ask(sent))[0]).toBe(code)
    expect(await buy(card)).toBe('00')
  })

  it('comes by a link that may send none: 58', async () => {
    const card = await running.openCard()
    const answer = await pos.send(update(card))
    expect([answer.mti, answer.text(39), answer.text(48)]).toEqual(['0312', '58', 'RM018link_not_permitted'])
    expect(await buy(card)).toBe('00')
  })

  it('comes without its MAC, or changed on its way: 63', async () => {
    const card = await running.openCard()
    const sent = update(card)
    expect(await hotline.codeOf(sent, hotline.link.encode(sent))).toBe('63')
    const changed = hotline.sealed(sent)
    changed[changed.length - 1]! ^= 1
    expect(await hotline.codeOf(sent, changed)).toBe('63')
    expect(await buy(card)).toBe('00')
  })

  it('is cut off anywhere: answered 30 or not at all, and the card works on', async () => {
    const card = await running.openCard()
    const whole = gateway.encode(update(card, { 41: 'HOTLINE1' }))
    for (let length = 4; length < whole.length; length += 3) {
      const link = await running.connect('gateway')
      const answered = link.sendBytes(whole.subarray(0, length), `0312|${update(card).fields[11] ?? ''}`)
      const echo = link.ask('0800', { 70: '301' }).catch(() => undefined)
      await Promise.race([link.closed, echo, answered])
      link.client.destroy()
    }
    expect(await stateOf(card)).toBe('ACTIVE')
  })

  it('advises instead of asking: 0322 is no transaction of this switch', async () => {
    const card = await running.openCard()
    const answer = await gateway.send(update(card, { 41: 'POS00001' }, '0322'))
    expect([answer.mti, answer.text(39)]).toEqual(['0332', '12'])
    expect(await stateOf(card)).toBe('ACTIVE')
  })
})
