/**
 * Verifies chip, card value and PIN of a batch of messages. The attempt is counted for its card in Redis before anything is looked at (raise.lua) and
 * given back where all was right, so that however many come at once no card gets more tries than its limit; what failed is counted for terminal and
 * range of numbers afterwards, since of those many messages are under way that nobody has failed. That is the first line; the second is the
 * ledger's, which tells the result of a PIN only while the card may still be asked for it, counts every wrong one, and takes each transaction
 * counter once. With Redis down only the second stands.
 */
import type { CardSnapshot } from '../card.ts'
import type {
  CardValueCheck,
  CryptogramCheck,
  CryptogramVerdict,
  Hsm,
  PinCheck,
  PinKey,
  PinReferenceOutcome,
  PinReferenceRequest,
  PinVerdict,
  Verdict,
} from '../security/hsm.ts'
import { parseIssuerApplicationData } from '../security/issuerApplicationData.ts'
import type { SecurityParameters } from '../securityParameters.ts'
import type { Credentials, PinBlock } from '../transaction/credentials.ts'
import type { Transaction } from '../transaction/transaction.ts'
import { cardValueCheckOf, contactlessAtc } from './cardValue.ts'
import { isFreshAtc } from './verification.ts'
import type { Attempt, AttemptCounter, HotState } from './hotState.ts'
import { velocityCounter, type VelocityScope } from './velocity.ts'
import { NOTHING_VERIFIED, type Verified } from './verified.ts'

export interface HolderCheck {
  readonly transaction: Transaction
  readonly credentials: Credentials
  readonly card: CardSnapshot
}

export interface HolderParts {
  readonly hsm: Hsm
  readonly hotState: Pick<HotState, 'up' | 'raise'>
  readonly security: SecurityParameters
  /** The names under which a configured PIN key is tried, newest first. */
  readonly keysOf: (base: string) => readonly string[]
  /** Looks for keys that another process was sent. @returns whether it has looked */
  readonly refreshKeys: () => Promise<boolean>
}

/** When the transaction has been answered, `counted` is to be given back and `failures` counted. */
export interface HolderVerdict {
  readonly verified: Verified
  readonly counted: readonly AttemptCounter[]
  readonly failures: readonly Attempt[]
}

/** @returns a verdict a check, in order @throws what the HSM throws where it cannot be reached */
export async function verifyHolders(parts: HolderParts, checks: readonly HolderCheck[]): Promise<HolderVerdict[]> {
  const attempts = checks.map((check) => attemptOf(check, parts.security))
  const raised = await raise(parts, attempts)
  const admitted = checks.filter((_, index) => raised[index] === 0 || raised[index] === undefined)
  const found = new Map(
    zip(
      admitted,
      await verifyOrGiveBack(
        parts,
        admitted,
        attempts.filter((_, index) => raised[index] === 0),
      ),
    ),
  )
  return checks.map((check, index) => {
    const attempt = attempts[index] ?? []
    const verified = found.get(check) ?? { ...NOTHING_VERIFIED, full: fullCounter(attempt, raised[index] ?? 0) }
    const wasCounted = raised[index] === 0
    const failures = hasFailed(verified) ? failuresOf(check, parts.security) : []
    return { verified, counted: wasCounted ? toGiveBack(attempt, verified) : [], failures }
  })
}

/** Where nothing can be verified nobody has failed. */
async function verifyOrGiveBack(
  parts: HolderParts,
  admitted: readonly HolderCheck[],
  counted: readonly Attempt[],
): Promise<Verified[]> {
  try {
    return await verifyAdmitted(parts, admitted)
  } catch (error) {
    await parts.hotState.raise(counted.flat(), []).catch(() => NO_COUNTING)
    throw error
  }
}

const NO_COUNTING: readonly undefined[] = []

async function raise({ hotState }: HolderParts, attempts: readonly Attempt[]): Promise<readonly (number | undefined)[]> {
  if (!hotState.up) return NO_COUNTING
  // Redis may fail at any time: the ledger's line stands.
  return await hotState.raise([], attempts).catch(() => NO_COUNTING)
}

type Scope = 'pin' | VelocityScope
interface ScopedCounter extends AttemptCounter {
  readonly ceiling: number
  readonly scope: Scope
}

/** The counters of an attempt, in the order in which the answer names them. */
function attemptOf({ credentials, card }: HolderCheck, security: SecurityParameters): ScopedCounter[] {
  const counters: ScopedCounter[] = [velocityCounter('card', card.token, security)]
  const triesMax = credentials.profile.pin?.triesMax
  if (credentials.pin !== undefined && triesMax !== undefined) {
    const ceiling = Math.max(0, triesMax - card.pinTries)
    counters.push({ scope: 'pin', name: `pin:${card.token}`, lifetimeMs: security.pinUnderWayMs, ceiling })
  }
  return counters
}

/** What a failure counts against beside its card; whoever shows a chip or a PIN is not searching a range of numbers. */
function failuresOf({ credentials, transaction }: HolderCheck, security: SecurityParameters): Attempt[] {
  const failures: Attempt = [{ ...velocityCounter('terminal', transaction.terminalId, security), ceiling: NO_CEILING }]
  if (credentials.chip !== undefined || credentials.pin !== undefined) return [failures]
  return [failures, [{ ...velocityCounter('bin', credentials.profile.prefix, security), ceiling: NO_CEILING }]]
}

const NO_CEILING = Number.MAX_SAFE_INTEGER

function fullCounter(attempt: readonly { readonly scope?: Scope }[], position: number): Scope {
  return attempt[position - 1]?.scope ?? 'terminal'
}

/** What failed stays counted; of a PIN the ledger keeps the count, so that only what is under way is counted here. */
function toGiveBack(attempt: readonly ScopedCounter[], verified: Verified): AttemptCounter[] {
  const failed = hasFailed(verified)
  return attempt.filter(({ scope }) => scope === 'pin' || !failed)
}

function hasFailed({ chip, pin, cardValue, fault }: Verified): boolean {
  return !fault && (chip === 'invalid' || chip === 'mismatch' || pin === 'wrong' || pin === 'broken' || cardValue === 'invalid')
}

async function verifyAdmitted({ hsm, keysOf, refreshKeys }: HolderParts, checks: readonly HolderCheck[]): Promise<Verified[]> {
  const chips = await verdicts(checks, chipCheckOf, (batch) => hsm.verifyCryptograms(batch))
  const shown = checks.map(({ credentials, card }) => cardValueCheckOf(credentials, card))
  const ofHsm = await verdicts(
    checks,
    (_, index) => wholeOnly(shown[index]),
    (batch) => hsm.verifyCardValues(batch),
  )
  const values = shown.map((one, index) => (one === 'malformed' ? 'invalid' : ofHsm[index]))
  // A PIN that comes with a wrong or a used chip is not tried: it would tell nothing and cost the holder a try.
  const stands = (check: HolderCheck, index: number): boolean =>
    (chips[index] === undefined ? check.credentials.chip === undefined : chips[index].kind === 'valid') &&
    values[index] !== 'invalid' &&
    !isMismatch(check) &&
    !isUsed(check)
  const pins = await verdicts(
    checks,
    (check, index) => (stands(check, index) ? pinCheckOf(check) : undefined),
    (batch) => verifyPins(hsm, keysOf, refreshKeys, batch),
  )
  const newPins = await verdicts(
    checks,
    (check, index) => (pins[index] === 'valid' ? newPinOf(check) : undefined),
    (batch) => pinReferences(hsm, keysOf, batch),
  )
  return checks.map((check, index) => {
    forget(check.credentials.pin)
    forget(check.credentials.newPin)
    return verifiedOf(check, chips[index], values[index], pins[index], newPins[index])
  })
}

async function verifyPins(
  hsm: Hsm,
  keysOf: HolderParts['keysOf'],
  refreshKeys: HolderParts['refreshKeys'],
  batch: readonly PinCheck[],
): Promise<readonly PinVerdict[]> {
  const ask = (asked: readonly PinCheck[]): Promise<readonly PinVerdict[]> =>
    underEitherKey(
      keysOf,
      asked,
      (under) => hsm.verifyPins(under),
      (verdict) => verdict === 'broken',
    )
  const verdicts = await ask(batch)
  // Another process may have been sent a new key.
  const broken = batch.flatMap((check, index) => (verdicts[index] === 'broken' && check.under.by === 'zone' ? [index] : []))
  if (broken.length === 0 || !(await refreshKeys())) return verdicts
  const again = await ask(broken.flatMap((index) => batch[index] ?? []))
  return verdicts.map((verdict, index) => again[broken.indexOf(index)] ?? verdict)
}

async function pinReferences(
  hsm: Hsm,
  keysOf: HolderParts['keysOf'],
  batch: readonly PinReferenceRequest[],
): Promise<readonly PinReferenceOutcome[]> {
  return underEitherKey(
    keysOf,
    batch,
    (asked) => hsm.pinReferences(asked),
    ({ kind }) => kind === 'broken',
  )
}

function wholeOnly(shown: CardValueCheck | 'malformed' | undefined): CardValueCheck | undefined {
  return shown === 'malformed' ? undefined : shown
}

/** A block in flight while its link got a new key comes under the one before: under the new one it is no PIN block at all. */
async function underEitherKey<Asked extends { readonly under: PinKey }, Answer>(
  keysOf: HolderParts['keysOf'],
  batch: readonly Asked[],
  ask: (batch: readonly Asked[]) => Promise<readonly Answer[]>,
  isBroken: (answer: Answer) => boolean,
): Promise<readonly Answer[]> {
  const answers = [...(await ask(batch.map((one) => ({ ...one, under: underKey(one.under, keysOf, 0) ?? one.under }))))]
  const again = batch.flatMap((one, index) => {
    const answer = answers[index]
    const under = answer !== undefined && isBroken(answer) ? underKey(one.under, keysOf, 1) : undefined
    return under === undefined ? [] : [{ index, asked: { ...one, under } }]
  })
  if (again.length === 0) return answers
  const second = await ask(again.map(({ asked }) => asked))
  for (const [position, { index }] of again.entries()) {
    const answer = second[position]
    if (answer !== undefined) answers[index] = answer
  }
  return answers
}

/** Base keys of DUKPT are not changed by messages. */
function underKey(under: PinKey, keysOf: HolderParts['keysOf'], age: number): PinKey | undefined {
  if (under.by === 'dukpt') return age === 0 ? under : undefined
  const key = keysOf(under.key)[age]
  return key === undefined ? undefined : { by: 'zone', key }
}

/** Asks for the items that have something to ask. @returns an answer a check, undefined where there was nothing to ask */
async function verdicts<Check, Answer>(
  checks: readonly HolderCheck[],
  ask: (check: HolderCheck, index: number) => Check | undefined,
  answer: (batch: readonly Check[]) => Promise<readonly Answer[]>,
): Promise<(Answer | undefined)[]> {
  const asked = checks.map(ask)
  const batch = asked.filter((one) => one !== undefined)
  if (batch.length === 0) return []
  const answers = (await answer(batch)).values()
  return asked.map((one) => (one === undefined ? undefined : answers.next().value))
}

function verifiedOf(
  check: HolderCheck,
  chip: CryptogramVerdict | undefined,
  value: Verdict | undefined,
  pin: PinVerdict | undefined,
  newPin: PinReferenceOutcome | undefined,
): Verified {
  const { credentials } = check
  const mismatch = isMismatch(check)
  return {
    full: undefined,
    chip:
      chip === undefined
        ? mismatch
          ? 'mismatch'
          : credentials.chip === undefined
            ? 'absent'
            : 'invalid'
        : chipVerdict(chip, mismatch),
    atc:
      chip?.kind === 'valid'
        ? credentials.chip?.chip.atc.readUInt16BE()
        : value === 'valid'
          ? contactlessAtc(credentials)
          : undefined,
    pin: pinVerdict(pin, credentials),
    reference: check.card.pinReference,
    cardValue: value === undefined ? 'absent' : value === 'valid' ? 'valid' : 'invalid',
    session: chip?.kind === 'valid' ? chip.session : undefined,
    newPin: newPin?.kind === 'made' ? { reference: referenceText(newPin) } : newPin === undefined ? undefined : 'broken',
    fault: chip?.kind === 'refused' || value === 'refused' || pin === 'refused' || newPin?.kind === 'refused',
  }
}

/** The ledger or a decision before has seen its counter: whatever it makes of the rest, this message is refused. */
function isUsed({ credentials, card }: HolderCheck): boolean {
  const { chip, profile } = credentials
  return chip !== undefined && !isFreshAtc(chip.chip.atc.readUInt16BE(), card, profile.chip?.atcAheadMax ?? 0)
}

function chipVerdict(chip: CryptogramVerdict, mismatch: boolean): Verified['chip'] {
  if (chip.kind !== 'valid') return 'invalid'
  return mismatch ? 'mismatch' : 'valid'
}

function pinVerdict(pin: PinVerdict | undefined, credentials: Credentials): Verified['pin'] {
  switch (pin) {
    case undefined:
      return credentials.pin === undefined ? 'absent' : 'unverifiable'
    case 'invalid':
      return 'wrong'
    case 'refused':
      return 'unverifiable'
    case 'valid':
    case 'broken':
      return pin
  }
}

function referenceText(made: PinReferenceOutcome & { kind: 'made' }): string {
  return made.reference.method === 'pvv' ? made.reference.pvv : made.reference.offset
}

/** 9F27: the first two bits of a request cryptogram are 10; one that declines, or was given offline, asks for nothing (EMV Book 3 table 14). */
const REQUEST_CRYPTOGRAM = 0x80

/** @returns undefined where there is no cryptogram, or none that this card could have made */
function chipCheckOf({ credentials, card }: HolderCheck): CryptogramCheck | undefined {
  const { chip, profile, pan } = credentials
  if (chip === undefined || profile.chip === undefined) return undefined
  if ((chip.chip.cryptogramInformation & 0xc0) !== REQUEST_CRYPTOGRAM) return undefined
  const { scheme, key, cryptogramVersions } = profile.chip
  const version = parseIssuerApplicationData(scheme, chip.chip.issuerApplicationData)?.cvn
  if (!cryptogramVersions.some((allowed) => parseInt(allowed, 16) === version)) return undefined
  return { scheme, key, pan: pan.reveal(), psn: card.psn, chip: chip.chip }
}

/** DE 4 = 9F02, DE 49 = 5F2A, DE 2 or 35 = 57 or 5A, DE 23 = 5F34: the cryptogram is of this very message and card. */
function isMismatch({ credentials, transaction, card }: HolderCheck): boolean {
  const { chip, pan, psn } = credentials
  if (chip === undefined) return false
  const ofChip = chip.card?.reveal().pan
  return (
    chip.amount !== transaction.amount ||
    chip.currency !== transaction.currency ||
    (ofChip !== undefined && ofChip !== pan.reveal()) ||
    [psn, chip.psn].some((one) => one !== undefined && one !== card.psn)
  )
}

function pinCheckOf({ credentials, card }: HolderCheck): PinCheck | undefined {
  const { pin, profile, pan } = credentials
  if (pin === undefined || profile.pin === undefined || card.pinReference === null) return undefined
  const { method, key, pvki } = profile.pin
  const reference = method === 'pvv' ? { method, key, pvki, pvv: card.pinReference } : { method, key, offset: card.pinReference }
  return { block: pin.block, format: pin.format, under: pin.under, pan: pan.reveal(), reference }
}

function newPinOf({ credentials, transaction }: HolderCheck): PinReferenceRequest | undefined {
  const { newPin, profile, pan } = credentials
  if (newPin === undefined || profile.pin === undefined || transaction.kind !== 'pinChange') return undefined
  const { method, key, pvki } = profile.pin
  return { block: newPin.block, format: newPin.format, under: newPin.under, pan: pan.reveal(), method, key, pvki }
}

/** ISO 9564-1: a PIN block is kept no longer than it is needed. */
function forget(pin: PinBlock | undefined): void {
  pin?.block.fill(0)
}

function zip<A, B>(left: readonly A[], right: readonly B[]): [A, B][] {
  return left.flatMap((one, index) => {
    const other = right[index]
    return other === undefined ? [] : [[one, other] as [A, B]]
  })
}
