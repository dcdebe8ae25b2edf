/** A holder chooses a PIN at a clerk's PIN pad: the block becomes what the PIN is verified against. The PIN itself is seen in the HSM only. */
import { assert } from '../assert.ts'
import type { MessageLink } from '../settings.ts'
import type { CardLife } from '../ledger/programme/cards.ts'
import { done, refused, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import { readSealedNumber } from '../ledger/programme/holders.ts'
import type { DataVault } from '../security/dataVault.ts'
import type { Hsm } from '../security/hsm.ts'
import { profileOf, type SecurityParameters } from '../securityParameters.ts'
import { credentialsOf } from '../transaction/credentials.ts'

export interface PinContext {
  readonly hsm: Hsm
  readonly vault: DataVault
  readonly security: SecurityParameters
  /** How PIN blocks come over HTTP. */
  readonly pin: MessageLink['pin']
}

/** Hexadecimal, as the pad made it of the PIN and the number of this card. */
export interface EnteredPin {
  readonly pinBlock: string
  readonly pinFormat?: number | undefined
  readonly keySerialNumber?: string | undefined
}

export interface ChosenPin {
  readonly pinReference: string
  /** The card has a chip that can be told of it. */
  readonly chip: boolean
}

export async function choosePin(
  tx: SqlTransaction,
  { hsm, vault, security, pin }: PinContext,
  { token }: Pick<CardLife, 'token'>,
  entered: EnteredPin,
): Promise<Outcome<ChosenPin>> {
  const sealed = await readSealedNumber(tx, token)
  if (sealed === undefined)
    return refused('conflict', 'card-number-not-kept', "The card's number is not kept here: no PIN can be set for it.")
  const pan = vault.unseal(sealed.keyId, { field: 'pan', shard: tx.shard, owner: token }, sealed.pan)
  const profile = profileOf(security, pan)
  if (profile?.pin === undefined)
    return refused('conflict', 'no-pin-profile', 'PINs of this range of cards are not verified here: none can be set.')
  const made = credentialsOf(shownBy(entered), { pan, profile, link: { pin }, terminalId: '' })
  const newPin = made.kind === 'made' ? made.credentials?.newPin : undefined
  if (newPin === undefined) return brokenBlock()
  const { method, key, pvki } = profile.pin
  const [outcome] = await hsm.pinReferences([{ ...newPin, pan, method, key, pvki }])
  // ISO 9564-1: a PIN block is kept no longer than it is needed.
  newPin.block.fill(0)
  assert(outcome !== undefined && outcome.kind !== 'refused', 'the HSM has the keys that the configuration names')
  if (outcome.kind !== 'made') return brokenBlock()
  const { reference } = outcome
  const pinReference = reference.method === 'pvv' ? reference.pvv : reference.offset
  return done({ pinReference, chip: profile.chip !== undefined })
}

function shownBy({ pinBlock, pinFormat, keySerialNumber }: EnteredPin): Parameters<typeof credentialsOf>[0] {
  return {
    entry: 'unknown',
    pinBlock: undefined,
    newPinBlock: Buffer.from(pinBlock, 'hex'),
    pinFormat: pinFormat === undefined ? undefined : String(pinFormat),
    keySerialNumber: keySerialNumber === undefined ? undefined : Buffer.from(keySerialNumber, 'hex'),
    chipData: undefined,
    psn: undefined,
    stripe: undefined,
    cardValue2: undefined,
    expiry: undefined,
  }
}

function brokenBlock(): Outcome<never> {
  return refused(
    'invalid',
    'pin-block',
    "It is no PIN block of this card under the switch's PIN key for HTTP; enter the PIN at the pad again.",
    '/pinBlock',
  )
}
