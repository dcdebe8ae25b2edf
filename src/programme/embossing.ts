/** What is written on a card when it is made: by its number, which is opened for this alone. */
import { readSealedPan, type CardLife } from '../ledger/programme/cards.ts'
import { done, refused, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import type { DataVault } from '../security/dataVault.ts'
import type { CardValue, Hsm } from '../security/hsm.ts'
import { profileOf, type SecurityParameters } from '../securityParameters.ts'

export interface Embossing {
  readonly cardId: string
  readonly number: string
  /** MM/YY. */
  readonly expires: string
  readonly sequenceNumber: string
  readonly values?: {
    readonly stripe: { readonly serviceCode: string; readonly cvv: string }
    readonly chip: { readonly icvv: string }
    readonly printed: { readonly cvv2: string }
  }
}

export interface EmbossingContext {
  readonly vault: DataVault
  readonly hsm: Hsm
  readonly security: SecurityParameters
}

/** ISO/IEC 7813: international, chip where there is one; normal authorization; no restrictions. */
const SERVICE_CODE = '201'

/** Refuses a card whose number is not kept: it was not made here. */
export async function embossingOf(
  tx: SqlTransaction,
  { token, expiry }: CardLife,
  { vault, hsm, security }: EmbossingContext,
): Promise<Outcome<Embossing>> {
  const kept = await readSealedPan(tx, token)
  if (kept === undefined)
    return refused('conflict', 'no-card-number', 'The number of this card is not kept: it was not ordered here.')
  const pan = vault.unseal(kept.keyId, { field: 'pan', shard: tx.shard, owner: token }, kept.pan)
  const key = profileOf(security, pan)?.cardValue?.key
  const embossing = {
    cardId: token,
    number: pan,
    expires: `${expiry.slice(2)}/${expiry.slice(0, 2)}`,
    sequenceNumber: kept.psn,
  }
  if (key === undefined) return done(embossing)
  const wanted: readonly CardValue[] = [
    { kind: 'cvv', key, expiry, serviceCode: SERVICE_CODE },
    { kind: 'icvv', key, expiry },
    { kind: 'cvv2', key, expiry },
  ]
  const made = await hsm.cardValues(wanted.map((value) => ({ pan, value })))
  const [cvv, icvv, cvv2] = made.map((outcome) => (outcome.kind === 'made' ? outcome.digits : undefined))
  if (cvv === undefined || icvv === undefined || cvv2 === undefined)
    return refused('conflict', 'no-card-values', 'The HSM cannot make the verification values of this card.')
  return done({ ...embossing, values: { stripe: { serviceCode: SERVICE_CODE, cvv }, chip: { icvv }, printed: { cvv2 } } })
}
