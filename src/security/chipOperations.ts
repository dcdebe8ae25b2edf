/**
 * Chip operations of the HSM port over a key store: a batch in, verdicts in the same order. The issuer master keys stay in their store; all
 * cards of one key are derived in one call of it. What is derived is used here and forgotten.
 */
import { timingSafeEqual } from 'node:crypto'
import { inspect } from 'node:util'
import { DERIVED_KEY_BYTES, iccMasterKeys, type CardOfKey } from './chipKeys.ts'
import { scriptCommand } from './chipScript.ts'
import {
  applicationCryptogram,
  arpcResponseCode,
  cardStatusUpdate,
  cryptogramKey,
  cryptogramMethod,
  responseCryptogram1,
  responseCryptogram2,
  type CryptogramMethod,
} from './cryptogram.ts'
import { DES_BLOCK, scheduleKey } from './des.ts'
import type {
  ChipData,
  ChipScheme,
  ChipSession,
  CryptogramCheck,
  CryptogramVerdict,
  ResponseCryptogramRequest,
  ScriptOutcome,
  ScriptRequest,
} from './hsm.ts'
import { parseIssuerApplicationData, type IssuerApplicationData } from './issuerApplicationData.ts'
import { KeyRefused, type KeyStore, type KeyUsage } from './keys.ts'

/**
 * Verify auth request cryptogram. The key of an item is for E0; one that is not there or for another purpose refuses its items only.
 * Where PAN, sequence number or chip data have not the form of any, no card can have made the cryptogram: `invalid`.
 */
export function verifyCryptograms(keys: KeyStore, batch: readonly CryptogramCheck[]): readonly CryptogramVerdict[] {
  const verdicts: CryptogramVerdict[] = batch.map(() => REFUSED)
  const plans: Plan[] = []
  for (const [index, check] of batch.entries()) {
    const plan = planOf(index, check)
    if ('kind' in plan) verdicts[index] = plan
    else plans.push(plan)
  }
  withMasterKeys(keys, 'E0', plans, (plan, masterKey) => {
    verdicts[plan.index] = verdictOf(plan, masterKey)
  })
  masterSchedule.fill(0)
  sessionSchedule.fill(0)
  return verdicts
}

/** Generate auth response cryptogram. @returns values of tag 91: ARPC and response code (method 1), ARPC and CSU (method 2) */
export function responseCryptograms(batch: readonly ResponseCryptogramRequest[]): readonly Buffer[] {
  return batch.map(({ session, responseCode, approved }) => {
    if (!(session instanceof VerifiedSession)) throw new TypeError('not a session of a verified cryptogram')
    return session.issuerAuthenticationData(responseCode, approved)
  })
}

/** Issuer script commands: values of tag 86. Keys are for E2. */
export function scriptCommands(keys: KeyStore, batch: readonly ScriptRequest[]): readonly ScriptOutcome[] {
  const outcomes: ScriptOutcome[] = batch.map(() => REFUSED)
  const plans = batch.map((request, index) => ({ index, request, key: request.key, card: cardOfScript(request) }))
  withMasterKeys(keys, 'E2', plans, ({ index, request }, masterKey) => {
    const apdu = scriptCommand(request.scheme, masterKey, request.command, request.atc, request.cryptogram)
    outcomes[index] = { kind: 'made', apdu }
  })
  return outcomes
}

const REFUSED = { kind: 'refused' } as const
const INVALID = { kind: 'invalid' } as const
const UNSUPPORTED = { kind: 'unsupported' } as const

interface Derivation {
  readonly index: number
  /** Name of the issuer master key. */
  readonly key: string
  readonly card: CardOfKey
}

interface Plan extends Derivation {
  readonly scheme: ChipScheme
  readonly method: CryptogramMethod
  readonly chip: ChipData
  readonly iad: IssuerApplicationData
}

function planOf(index: number, { scheme, key, pan, psn, chip }: CryptogramCheck): Plan | CryptogramVerdict {
  const iad = parseIssuerApplicationData(scheme, chip.issuerApplicationData)
  if (iad === undefined || !hasForm(pan, psn, chip)) return INVALID
  const method = cryptogramMethod(scheme, iad.cvn)
  if (method === undefined) return UNSUPPORTED
  return { index, key, card: { pan, psn, option: method.masterKey }, scheme, method, chip, iad }
}

const TRANSACTION_DATA_BYTES = 33
const PAN_AND_PSN = /^\d{12,19},\d\d$/

function hasForm(pan: string, psn: string, chip: ChipData): boolean {
  return (
    chip.cryptogram.length === DES_BLOCK &&
    chip.atc.length === 2 &&
    chip.unpredictableNumber.length === 4 &&
    chip.transactionData.length === TRANSACTION_DATA_BYTES &&
    PAN_AND_PSN.test(`${pan},${psn}`)
  )
}

/** CVN 18 and 22 derive a card's keys by option B. */
function cardOfScript({ scheme, pan, psn, issuerApplicationData }: ScriptRequest): CardOfKey {
  const iad = issuerApplicationData && parseIssuerApplicationData(scheme, issuerApplicationData)
  const method = iad && cryptogramMethod(scheme, iad.cvn)
  return { pan, psn, option: method?.masterKey ?? 'A' }
}

/** Calls `use` for every item whose key may be used; its master key is erased afterwards. */
function withMasterKeys<Item extends Derivation>(
  keys: KeyStore,
  usage: KeyUsage,
  items: readonly Item[],
  use: (item: Item, masterKey: Buffer) => void,
): void {
  for (const [name, group] of Map.groupBy(items, ({ key }) => key)) {
    const derived = derive(keys, usage, name, group)
    if (derived === undefined) continue
    for (const [at, item] of group.entries()) {
      use(item, derived.subarray(at * DERIVED_KEY_BYTES, (at + 1) * DERIVED_KEY_BYTES))
    }
    derived.fill(0)
  }
}

function derive(keys: KeyStore, usage: KeyUsage, name: string, group: readonly Derivation[]): Buffer | undefined {
  try {
    const cards = group.map(({ card }) => card)
    return iccMasterKeys(keys.find(name, usage), cards)
  } catch (error) {
    if (error instanceof KeyRefused) return undefined
    throw error
  }
}

// Overwritten by each item: see scheduleKey.
const masterSchedule = new Int32Array(64)
const sessionSchedule = new Int32Array(64)

function verdictOf({ scheme, method, chip, iad }: Plan, masterKey: Buffer): CryptogramVerdict {
  scheduleKey(masterKey, masterSchedule)
  const session = cryptogramKey(method, masterSchedule, chip.atc, chip.unpredictableNumber)
  const schedule = session === undefined ? masterSchedule : scheduleKey(session, sessionSchedule)
  const cryptogram = applicationCryptogram(method, schedule, chip.transactionData, chip.issuerApplicationData, iad)
  if (!timingSafeEqual(cryptogram, chip.cryptogram)) return INVALID
  const responseKey = method.arpc === 2 && session !== undefined ? session : Buffer.from(masterKey)
  return { kind: 'valid', session: new VerifiedSession(scheme, method.arpc, responseKey, cryptogram) }
}

/** Holds a derived key from the request to its answer; nothing of it can be read or printed. */
class VerifiedSession implements ChipSession {
  readonly brand = 'ChipSession'
  readonly #scheme: ChipScheme
  readonly #method: 1 | 2
  readonly #key: Buffer
  readonly #cryptogram: Buffer

  constructor(scheme: ChipScheme, method: 1 | 2, key: Buffer, cryptogram: Buffer) {
    this.#scheme = scheme
    this.#method = method
    this.#key = key
    this.#cryptogram = cryptogram
  }

  issuerAuthenticationData(responseCode: string, approved: boolean): Buffer {
    scheduleKey(this.#key, masterSchedule)
    if (this.#method === 2) {
      const update = cardStatusUpdate(approved)
      return Buffer.concat([responseCryptogram2(masterSchedule, this.#cryptogram, update), update])
    }
    const code = arpcResponseCode(this.#scheme, responseCode, approved)
    return Buffer.concat([responseCryptogram1(masterSchedule, this.#cryptogram, code), code])
  }

  toJSON(): string {
    return 'ChipSession'
  }

  [inspect.custom](): string {
    return 'ChipSession'
  }
}
