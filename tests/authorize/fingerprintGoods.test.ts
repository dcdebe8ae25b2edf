/** A programme that asks for the fingerprint at bakeries of governorate 3 too. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startTestSwitch, type TestLink, type TestSwitch } from '../support/switch.ts'
import { expectCleanBooks, stateOf } from './books.ts'
import { bread, data, eligibility } from './subsidies.ts'

let running: TestSwitch
let pos: TestLink

beforeAll(async () => {
  running = await startTestSwitch({
    at: '2026-11-22T10:00:00Z',
    configure: (config) => {
      const [rules] = config.programme.versions
      const { services } = rules!
      const asked = { ...services, bread: { ...services['bread']!, fingerprintGovernorates: [3] } }
      return { ...config, programme: { ...config.programme, versions: [{ ...rules!, services: asked }] } }
    },
  })
  pos = await running.connect('pos')
})

afterAll(async () => {
  await expectCleanBooks(running)
})

const withFingerprint = (result: string, days = 1) => ({ 48: data({ LV: 5, DY: days, BR: result }) })

it('a match with the bread that retires the old card starts the count again', async () => {
  const { head, old } = await running.openHousehold({ oldCard: true })
  for (let count = 0; count < 5; count++) await pos.ask('0100', eligibility(head.pan, 'X'))
  expect((await pos.ask('0200', bread(head.pan, 5, 1, withFingerprint('M')))).text(39)).toBe('00')
  expect(await stateOf(running, old!.token)).toBe('RETIRED')
  expect((await pos.ask('0100', eligibility(head.pan, 'X'))).text(48)).toContain('TR0017')
})

it('mismatches at clinics and bakeries are counted together', async () => {
  const { head } = await running.openHousehold()
  for (let count = 0; count < 7; count++) {
    const asked =
      count % 2 === 0 ? pos.ask('0100', eligibility(head.pan, 'X')) : pos.ask('0200', bread(head.pan, 5, 1, withFingerprint('X')))
    expect((await asked).text(39)).toBe('63')
  }
  expect((await pos.ask('0200', bread(head.pan, 5, 1, withFingerprint('X')))).text(39)).toBe('62')
  expect(await stateOf(running, head.token)).toBe('SUSPENDED_BIOMETRIC')
})
