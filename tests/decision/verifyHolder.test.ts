/** What is counted when the HSM cannot be asked; what comes of a verification is tested at the boundary (tests/authorize/pin.test.ts and chip.test.ts). */
import { expect, it } from 'vitest'
import { luhnCheckDigit, Pan } from '../../src/card.ts'
import type { Attempt, AttemptCounter } from '../../src/decision/hotState.ts'
import { verifyHolders, type HolderCheck } from '../../src/decision/verifyHolder.ts'
import { demoPinBlock } from '../../src/programme/demoVerification.ts'
import { profileOf } from '../../src/securityParameters.ts'
import { loadConfig } from '../../src/config.ts'
import { hsm } from '../support/cardholder.ts'
import { contextOf, transactionOf } from './situation.ts'

const PAN = `981802000000000${luhnCheckDigit('981802000000000')}`
const { security } = loadConfig({ DATABASE_URL: 'postgres://localhost/none', REDIS_URL: 'redis://localhost' })

function check(): HolderCheck {
  const pan = Pan.parse(PAN)!
  const profile = profileOf(security, PAN)!
  const pin = { block: demoPinBlock(PAN), format: 0, under: { by: 'zone', key: 'zpk.pos' } } as const
  const nothing = {
    newPin: undefined,
    chip: undefined,
    psn: undefined,
    stripe: undefined,
    cardValue2: undefined,
    expiry: undefined,
  }
  const credentials = { ...nothing, pan, profile, entry: 'unknown', pin } as const
  const { card } = contextOf('withdrawal')
  return { transaction: transactionOf('withdrawal'), credentials, card: { ...card, pinReference: '1234' } }
}

/** Counts as raise.lua does, without ceilings. */
function counting() {
  const counts = new Map<string, number>()
  return {
    counts,
    up: true,
    raise: (returned: readonly AttemptCounter[], attempts: readonly Attempt[]): Promise<number[]> => {
      for (const { name } of returned) counts.set(name, (counts.get(name) ?? 0) - 1)
      for (const { name } of attempts.flat()) counts.set(name, (counts.get(name) ?? 0) + 1)
      return Promise.resolve(attempts.map(() => 0))
    },
  }
}

it('an HSM that fails costs neither card nor terminal a try', async () => {
  const hotState = counting()
  const broken = { ...hsm, verifyPins: () => Promise.reject(new Error('the token is gone')) }
  const parts = { hsm: broken, hotState, security, keysOf: (base: string) => [base], refreshKeys: () => Promise.resolve(false) }
  await expect(verifyHolders(parts, [check(), check()])).rejects.toThrow('the token is gone')
  expect(hotState.counts.size).toBe(2)
  expect([...hotState.counts.values()].every((count) => count === 0)).toBe(true)
})

it('a wrong PIN stays counted against card and terminal, and gives its turn back', async () => {
  const hotState = counting()
  const [verdict] = await verifyHolders(
    { hsm, hotState, security, keysOf: (base) => [base], refreshKeys: () => Promise.resolve(false) },
    [check()],
  )
  expect(verdict?.verified.pin).toBe('wrong')
  expect(verdict?.counted.map(({ name }) => name.split(':')[0])).toEqual(['pin'])
  expect(verdict?.failures.flat().map(({ name }) => name.split(':')[0])).toEqual(['terminal'])
})

it('a PIN block is nothing any more once it has been verified', async () => {
  const one = check()
  await verifyHolders(
    { hsm, hotState: counting(), security, keysOf: (base) => [base], refreshKeys: () => Promise.resolve(false) },
    [one],
  )
  expect(one.credentials.pin?.block.every((byte) => byte === 0)).toBe(true)
})
