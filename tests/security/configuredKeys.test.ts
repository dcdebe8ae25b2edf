import { expect, test } from 'vitest'
import { configuredKeys, keyProblems } from '../../src/security/configuredKeys.ts'
import { loadConfig } from '../../src/config.ts'
import { developmentKeys } from '../../src/security/developmentKeys.ts'
import type { KeyInfo } from '../../src/security/keys.ts'
import { softwareKeyStore } from '../../src/security/softwareKeys.ts'

const config = loadConfig({ DATABASE_URL: 'postgres://127.0.0.1', REDIS_URL: 'redis://127.0.0.1' })
const keys: readonly KeyInfo[] = softwareKeyStore(developmentKeys()).list()
const [atm] = config.links

const changed = (name: string, change: Partial<KeyInfo>): KeyInfo[] =>
  keys.map((key) => (key.name === name ? { ...key, ...change } : key))

test('the configuration that comes with the switch has all its keys among the development keys', () => {
  expect(keyProblems(config, keys)).toEqual([])
  expect(configuredKeys(config).length).toBeGreaterThan(10)
})

test('each key that it names is missed', () => {
  const names = new Set(configuredKeys(config).map(({ name }) => name))
  for (const name of names) {
    const problems = keyProblems(
      config,
      keys.filter((key) => key.name !== name),
    )
    expect(problems.length).toBeGreaterThan(0)
    expect(new Set(problems.map((problem) => problem.name))).toEqual(new Set([name]))
    expect(problems[0]!.problem).toMatch(/^is missing: it is for [A-Z]\d/)
  }
})

test.each<[string, Partial<KeyInfo>, string]>([
  ['zpk.atm', { usage: 'K0' }, 'is for K0 with TDES of 16 bytes, not for P0 with TDES'],
  ['zpk.atm', { algorithm: 'A' }, 'is for P0 with AES of 16 bytes, not for P0 with TDES'],
  ['data.1', { bytes: 16 }, 'is for D0 with AES of 16 bytes, not for D0 with AES of 32 bytes'],
  ['pvk.981805', { usage: 'V2' }, 'is for V2 with TDES of 16 bytes, not for V1 with TDES'],
  ['imk-smi.9818', { usage: 'E0' }, 'is for E0 with TDES of 16 bytes, not for E2 with TDES'],
])('%s that is another: %o', (name, change, problem) => {
  expect(keyProblems(config, changed(name, change))).toMatchObject([{ name, problem }])
})

test('a link may take either kind of MAC key and of transport key, and keys by terminal may come later', () => {
  const links = [
    {
      ...atm!,
      pin: { management: 'dukpt', format: 0, tdesKey: 'bdk.tdes', aesKey: 'bdk.aes' } as const,
      mac: { key: 'mac.{terminal}' },
      transportKey: 'transport.atm',
    },
  ]
  const named = configuredKeys({ ...config, links }).filter(({ namedBy }) => namedBy.startsWith('link atm'))
  expect(named.map(({ name, usages, namedBy }) => [name, usages.join(), namedBy])).toEqual([
    ['bdk.tdes', 'B0', 'link atm: pin.tdesKey'],
    ['bdk.aes', 'B0', 'link atm: pin.aesKey'],
    ['mac.{terminal}', 'M3,M6', 'link atm: mac.key'],
    ['transport.atm', 'K1,K0', 'link atm: transportKey'],
  ])
  const without = keys.filter(({ name }) => !name.startsWith('mac.'))
  expect(keyProblems({ ...config, links }, without)).toEqual([])
  const ofTerminal: KeyInfo = { ...keys[0]!, name: 'mac.atm00001', usage: 'M3', algorithm: 'T' }
  expect(keyProblems({ ...config, links }, [...without, ofTerminal])).toEqual([])
  expect(keyProblems({ ...config, links }, [...without, { ...ofTerminal, usage: 'P0' }])).toMatchObject([
    { name: 'mac.atm00001' },
  ])
})
