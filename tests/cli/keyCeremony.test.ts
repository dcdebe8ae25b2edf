import { expect, test } from 'vitest'
import { enterKey, type Ceremony } from '../../src/cli/keyCeremony.ts'
import type { Questions } from '../../src/cli/secretInput.ts'
import { UsageError } from '../../src/cli/usageError.ts'
import { checkValueOf, combineComponents, randomKey } from '../../src/security/keyComponents.ts'
import { KeyRefused } from '../../src/security/keys.ts'

const FIRST = randomKey('T', 16)
const SECOND = randomKey('T', 16)
const KEY = combineComponents('T', [FIRST, SECOND])
const KCVS = [FIRST, SECOND].map((component) => checkValueOf('T', component))
const KEY_KCV = checkValueOf('T', KEY)
const CEREMONY: Ceremony = { algorithm: 'T', bytes: 16, components: 2, kcv: [], describe: 'zmk.x (K0, tdes)' }

interface Person extends Questions {
  /** Everything that was shown. */
  readonly shown: string[]
  readonly lines: Buffer[]
}

function person(secrets: readonly (Uint8Array | string)[], answers: readonly string[], interactive = true): Person {
  const lines = secrets.map((secret) => Buffer.from(typeof secret === 'string' ? secret : Buffer.from(secret).toString('hex')))
  const [left, toSay] = [[...lines], [...answers]]
  const shown: string[] = []
  const next = <T>(from: T[], prompt: string): Promise<T> => {
    shown.push(prompt)
    const value = from.shift()
    return value === undefined ? Promise.reject(new UsageError('the input has ended')) : Promise.resolve(value)
  }
  return {
    interactive,
    shown,
    lines,
    secret: (prompt) => next(left, prompt),
    answer: (prompt) => next(toSay, prompt),
    say: (text) => shown.push(text),
    close: () => {},
  }
}

test('two people enter and confirm, and the key is confirmed; what was entered is erased, and so is the key in the end', async () => {
  const people = person([FIRST, SECOND], ['yes', 'YES', 'yes'])
  const { value, close } = await enterKey(people, CEREMONY)
  expect(value).toEqual(KEY)
  expect(people.shown.join('\n')).toContain(`Component 1 of 2 has check value ${KCVS[0]!}.`)
  expect(people.shown.join('\n')).toContain(`Component 2 of 2 has check value ${KCVS[1]!}.`)
  expect(people.shown.join('\n')).toContain(`Key zmk.x (K0, tdes) has check value ${KEY_KCV}.`)
  for (const secret of [FIRST, SECOND, KEY]) expect(people.shown.join('\n')).not.toMatch(new RegExp(secret.toString('hex'), 'i'))
  for (const line of people.lines) expect(line.every((byte) => byte === 0)).toBe(true)
  close()
  expect(value.every((byte) => byte === 0)).toBe(true)
})

test('check values that are known beforehand ask nobody', async () => {
  for (const interactive of [true, false]) {
    const people = person([FIRST, SECOND], [], interactive)
    const { value } = await enterKey(people, { ...CEREMONY, kcv: KCVS, keyKcv: KEY_KCV })
    expect(value).toEqual(KEY)
  }
})

test('a slip is entered again, up to three times', async () => {
  const bad = Buffer.from(FIRST)
  bad[3]! ^= 1
  const people = person([bad, '01xy', FIRST, SECOND, SECOND], ['yes', 'no', 'yes', 'yes'])
  expect((await enterKey(people, CEREMONY)).value).toEqual(KEY)
  const stubborn = person([bad, bad, bad, FIRST, SECOND], ['yes', 'yes', 'yes'])
  await expect(enterKey(stubborn, CEREMONY)).rejects.toThrow(KeyRefused)
  expect(stubborn.shown.filter((text) => text.includes('Once more'))).toHaveLength(2)
})

test.each<[string, Partial<Ceremony>, (Uint8Array | string)[], RegExp]>([
  [
    'a check value that is another',
    { kcv: [KCVS[0]!, 'ABCDEF'] },
    [FIRST, SECOND],
    /component 2 has check value .{6}, not ABCDEF/,
  ],
  [
    'a key with another check value',
    { kcv: KCVS, keyKcv: 'ABCDEF' },
    [FIRST, SECOND],
    /the key has check value .{6}, not ABCDEF/,
  ],
  ['a component of another length', { kcv: KCVS }, [FIRST, '0123'], /2 bytes, not 16/],
  ['the same component twice', { kcv: [KCVS[0]!, KCVS[0]!] }, [FIRST, FIRST], /two components are the same/],
  ['no check value for each', { kcv: [KCVS[0]!] }, [FIRST, SECOND], /say --kcv for each/],
  ['more check values than components', { kcv: [...KCVS, KEY_KCV] }, [FIRST, SECOND], /more --kcv than 2/],
  ['a line that is missing', { kcv: KCVS }, [FIRST], /input has ended/],
])('without a person, %s is the end', async (_what, change, secrets, message) => {
  const people = person(secrets, [], false)
  await expect(enterKey(people, { ...CEREMONY, ...change })).rejects.toThrow(message)
})

test('a key that is not confirmed is not made', async () => {
  await expect(enterKey(person([FIRST, SECOND], ['yes', 'yes', 'no']), CEREMONY)).rejects.toThrow('nothing was stored')
})
