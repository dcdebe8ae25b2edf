/** A suspension after wrong fingerprints is lifted: one officer has looked at the holder's fingers, another agrees. */
import { readCardLife } from '../ledger/programme/cards.ts'
import { done, refused, type Actor, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import { readPlace } from '../ledger/programme/places.ts'
import type { Proposal } from '../ledger/programme/proposals.ts'
import { changeCard, notInThisState, NO_SUCH_CARD } from './changeCard.ts'
import { stateAfter } from './cardLife.ts'
import { ownPlace } from './handOver.ts'
import { propose, type ProposalKind } from './proposals.ts'

export const REVERIFICATION: ProposalKind = {
  kind: 'reverification',
  permission: 'card:reverify',
  single: true,
  execute: async (tx, body) => {
    const { cardId, placeId, fingerprintReference } = body as { cardId: string; placeId: string; fingerprintReference: string }
    const changed = await changeCard(tx, {
      token: cardId,
      event: 'fingerprint_reverified',
      row: { resetMismatches: true },
      life: { fingerprint_reference: fingerprintReference },
      data: { placeId },
    })
    return changed.ok ? done({ state: changed.value.state }) : changed
  },
}

export interface Reverification {
  readonly token: string
  readonly placeId: string
  /** Names the enrolment that the finger was found to match. */
  readonly fingerprintReference: string
}

const PLACES = ['post-office', 'uhi-centre']

export async function proposeReverification(
  tx: SqlTransaction,
  maker: Actor,
  { token, placeId, fingerprintReference }: Reverification,
): Promise<Outcome<Proposal>> {
  const card = await readCardLife(tx, token)
  if (card === undefined) return NO_SUCH_CARD
  if (stateAfter(card.state, 'fingerprint_reverified') === undefined) return notInThisState(card.state, 'fingerprint_reverified')
  const place = await readPlace(tx, placeId)
  if (place === undefined || !PLACES.includes(place.kind))
    return refused(
      'invalid',
      'wrong-place',
      'Fingerprints are looked at again at a post office or a UHI centre: give the id of one.',
      '/placeId',
    )
  const own = ownPlace(maker, placeId)
  if (!own.ok) return own
  return propose(tx, REVERIFICATION, maker, { subject: `card ${token}`, body: { cardId: token, placeId, fingerprintReference } })
}
