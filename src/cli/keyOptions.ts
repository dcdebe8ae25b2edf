/** Options that the subcommands of `sarf keys` share, and what may be said with them. */
import { InvalidArgumentError, Option } from 'commander'
import { isUsage } from '../security/keyBlockOperations.ts'
import type { KeyAlgorithm, KeyUsage } from '../security/keys.ts'
import { UsageError } from './usageError.ts'

export interface Shape {
  readonly algorithm: KeyAlgorithm
  readonly bytes: number
}

export const SHAPES: Readonly<Record<string, Shape>> = {
  tdes: { algorithm: 'T', bytes: 16 },
  tdes3: { algorithm: 'T', bytes: 24 },
  aes128: { algorithm: 'A', bytes: 16 },
  aes192: { algorithm: 'A', bytes: 24 },
  aes256: { algorithm: 'A', bytes: 32 },
  hmac: { algorithm: 'H', bytes: 32 },
}

export const algorithmOption = (): Option =>
  new Option('--algorithm <name>', 'tdes has double length, tdes3 triple').choices(Object.keys(SHAPES)).makeOptionMandatory()
export const NAME_OPTION = ['--name <key>', 'lower-case letters, digits, dots and hyphens: zpk.pos', keyName] as const
export const USAGE_OPTION = [
  '--usage <usage>',
  'what it is for, as in a key block (ANSI X9.143 table 2): P0, K1, M3',
  usage,
] as const
export const REPLACE_OPTION = ['--replace', 'put it in the place of the key of this name; without this that is refused'] as const

export const UNDER_OPTION = ['--under <key>', 'the key that protects the block: K1 or K0', keyName] as const

export function shapeOf(name: string): Shape {
  const shape = SHAPES[name]
  if (shape === undefined) throw new UsageError(`there is no algorithm ${name}`)
  return shape
}

function keyName(value: string): string {
  if (!/^[a-z0-9][a-z0-9.-]{0,60}$/.test(value)) throw new InvalidArgumentError('Lower-case letters, digits, dots and hyphens.')
  return value
}

function usage(value: string): KeyUsage {
  if (!isUsage(value))
    throw new InvalidArgumentError('Two characters of ANSI X9.143 table 2 that the switch has keys for: P0, K1, M3.')
  return value
}

export function componentCount(value: string): number {
  if (!/^[2-9]$/.test(value)) throw new InvalidArgumentError('A whole number from 2 to 9.')
  return Number(value)
}

export function kcv(value: string): string {
  if (!/^[0-9a-f]{6}$/i.test(value)) throw new InvalidArgumentError('Six hexadecimal digits.')
  return value.toUpperCase()
}

export function kcvs(value: string, before: readonly string[]): readonly string[] {
  return [...before, kcv(value)]
}
