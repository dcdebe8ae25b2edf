/** The keys that a virtual terminal shares with the switch: development keys, and in the place of some those that it has sent since. */
import { randomBytes } from 'node:crypto'
import type { MessageLink } from '../settings.ts'
import { keyOf } from '../linkKeys.ts'
import { developmentKeys } from '../security/developmentKeys.ts'
import { withOddParity } from '../security/keyComponents.ts'
import type { PinFormat } from '../security/hsm.ts'
import { exportKey, importKey } from '../security/keyBlockOperations.ts'
import { KeyRefused, type KeyHandle, type KeyInfo, type KeyStore } from '../security/keys.ts'
import { softwareKeyStore } from '../security/softwareKeys.ts'
import { UsageError } from './usageError.ts'

export interface TerminalKeys {
  /** @throws UsageError where PIN blocks cannot be made for this link */
  pin(format: PinFormat): KeyHandle
  /** Undefined where the link demands no MAC. @throws UsageError where its key is not known here */
  mac(): KeyHandle | undefined
  /** A random key that may take the place of the link's MAC or PIN key. @throws UsageError where the link takes none */
  newKey(purpose: KeyPurpose): SessionKeyBlock
}

export type KeyPurpose = 'mac' | 'pin'

/** A key that was sent, as it is kept: enciphered under the transport key. */
export interface SessionKeyBlock {
  /** The configured key whose place it takes. */
  readonly base: string
  /** X9.143 key block, and the key that protects it. */
  readonly block: string
  readonly under: string
  readonly kcv: string
}

/** @param sent keys that the switch has taken over */
export function terminalKeys(link: MessageLink, terminalId: string, sent: readonly SessionKeyBlock[]): TerminalKeys {
  const keys = softwareKeyStore(developmentKeys())
  const names = new Map(keys.list().map((info) => [info.name, info]))
  const development = (configured: string): KeyInfo => {
    const name = keyOf(configured, terminalId)
    // Keys of one kind have one value, so any of them stands for a terminal's own.
    const info = names.get(name) ?? names.get(name.replace(/\.[^.]+$/, '.pos'))
    if (info !== undefined) return info
    throw new UsageError(`link ${link.name} has key ${name}, which is no development key: only its owner can talk to this link`)
  }
  const current = (configured: string): KeyHandle => {
    const info = development(configured)
    const session = sent.findLast(({ base }) => base === keyOf(configured, terminalId))
    if (session === undefined) return keys.find(info.name, info.usage)
    return keys.find(importKey(keys, session.block, session.under, `session.${session.kcv.toLowerCase()}`).name, info.usage)
  }
  return {
    pin: (format) => {
      const configured = format === 4 ? link.pin?.aesKey : link.pin?.tdesKey
      if (configured === undefined || link.pin?.management === 'dukpt')
        throw new UsageError(`no PIN of format ${String(format)} can be sent on link ${link.name} from here; give --no-pin`)
      return current(configured)
    },
    mac: () => (link.mac === undefined ? undefined : current(link.mac.key)),
    newKey: (purpose) => {
      const configured = purpose === 'mac' ? link.mac?.key : link.pin?.tdesKey
      if (link.transportKey === undefined || configured === undefined)
        throw new UsageError(`link ${link.name} takes no new ${purpose} key; --link secure does`)
      return newKey(keys, development(configured), keyOf(configured, terminalId), development(link.transportKey).name)
    },
  }
}

function newKey(keys: KeyStore, { usage, algorithm, bytes }: KeyInfo, base: string, under: string): SessionKeyBlock {
  const random = randomBytes(bytes)
  const value = algorithm === 'T' ? withOddParity(random) : random
  const { kcv } = keys.put({ name: 'session.new', usage, algorithm, exportable: true, value })
  try {
    return { base, block: exportKey(keys, 'session.new', under), under, kcv }
  } catch (error) {
    throw error instanceof KeyRefused ? new UsageError(error.message) : error
  }
}
