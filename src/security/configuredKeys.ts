/** The keys that the configuration names, and whether a store has them as the switch will ask for them. */
import type { Config } from '../config.ts'
import type { KeyAlgorithm, KeyInfo, KeyUsage } from './keys.ts'

export interface ConfiguredKey {
  /** A name that ends in `{terminal}` is one key a terminal. */
  readonly name: string
  readonly usages: readonly KeyUsage[]
  readonly algorithm?: KeyAlgorithm
  readonly bytes?: number
  /** The settings that name it: `link pos: pin.tdesKey`. */
  readonly namedBy: string
}

export interface KeyProblem {
  readonly name: string
  readonly namedBy: string
  /** One line. */
  readonly problem: string
}

type Settings = Pick<Config, 'links' | 'http' | 'security'>

export function configuredKeys({ links, http, security }: Settings): readonly ConfiguredKey[] {
  const found: ConfiguredKey[] = []
  for (const { name: owner, pin, mac, transportKey } of [
    ...links.map((link) => ({ ...link, name: `link ${link.name}` })),
    { name: 'http', pin: http.pin, mac: undefined, transportKey: undefined },
  ]) {
    const usages: KeyUsage[] = [pin?.management === 'dukpt' ? 'B0' : 'P0']
    if (pin?.tdesKey !== undefined) found.push({ name: pin.tdesKey, usages, algorithm: 'T', namedBy: `${owner}: pin.tdesKey` })
    if (pin?.aesKey !== undefined) found.push({ name: pin.aesKey, usages, algorithm: 'A', namedBy: `${owner}: pin.aesKey` })
    if (mac !== undefined) found.push({ name: mac.key, usages: ['M3', 'M6'], namedBy: `${owner}: mac.key` })
    if (transportKey !== undefined) {
      found.push({ name: transportKey, usages: ['K1', 'K0'], namedBy: `${owner}: transportKey` })
    }
  }
  for (const { prefix, chip, pin, cardValue } of security.profiles) {
    const profile = `profile ${prefix}`
    const key = (name: string, usage: KeyUsage, setting: string): void => {
      found.push({ name, usages: [usage], algorithm: 'T', namedBy: `${profile}: ${setting}` })
    }
    if (chip !== undefined) {
      key(chip.key, 'E0', 'chip.key')
      key(chip.scriptKey, 'E2', 'chip.scriptKey')
    }
    if (pin !== undefined) key(pin.key, pin.method === 'pvv' ? 'V2' : 'V1', 'pin.key')
    if (cardValue !== undefined) key(cardValue.key, 'C0', 'cardValue.key')
  }
  return [...found, { name: security.dataKey, usages: ['D0'], algorithm: 'A', bytes: DATA_KEY_BYTES, namedBy: 'dataKey' }]
}

/** Of keys by terminal only those that are there are looked at: a terminal may come before its key. */
export function keyProblems(settings: Settings, keys: readonly KeyInfo[]): readonly KeyProblem[] {
  return configuredKeys(settings).flatMap((configured) => {
    const { name, namedBy } = configured
    const problem = (problemName: string, text: string): KeyProblem => ({ name: problemName, namedBy, problem: text })
    const ofTerminals = name.endsWith(TERMINAL)
    const prefix = name.slice(0, -TERMINAL.length)
    const stored = keys.filter((key) => (ofTerminals ? key.name.startsWith(prefix) : key.name === name))
    if (stored.length === 0 && !ofTerminals) return [problem(name, `is missing: it is for ${wanted(configured)}`)]
    return stored
      .filter((key) => !isAsWanted(configured, key))
      .map((key) => problem(key.name, `is for ${said(key)}, not for ${wanted(configured)}`))
  })
}

const DATA_KEY_BYTES = 32
const TERMINAL = '{terminal}'
const ALGORITHMS: Readonly<Record<KeyAlgorithm, string>> = { T: 'TDES', A: 'AES', H: 'HMAC' }

function isAsWanted({ usages, algorithm, bytes }: ConfiguredKey, key: KeyInfo): boolean {
  return usages.includes(key.usage) && (algorithm ?? key.algorithm) === key.algorithm && (bytes ?? key.bytes) === key.bytes
}

function wanted({ usages, algorithm, bytes }: ConfiguredKey): string {
  const cipher = algorithm === undefined ? '' : ` with ${ALGORITHMS[algorithm]}`
  return `${usages.join(' or ')}${cipher}${bytes === undefined ? '' : ` of ${String(bytes)} bytes`}`
}

function said({ usage, algorithm, bytes }: KeyInfo): string {
  return `${usage} with ${ALGORITHMS[algorithm]} of ${String(bytes)} bytes`
}
