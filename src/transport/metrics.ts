/** What the transport counts. Reasons come from a short fixed list, so they may be labels. */
export interface TransportMetrics {
  connectionOpened(): void
  connectionClosed(): void
  /** A connection ended in its TLS handshake. */
  handshakeFailed(): void
  frameReceived(bytes: number): void
  frameRejected(reason: RejectReason): void
  answered(): void
  /** A connection ended by us that had sent nothing wrong, or was not let in. */
  connectionDropped(why: DropReason): void
  /** A connection was not read from, because it had more than its share of what is in flight. */
  heldBack(): void
  /** A connection is not read from until it has a token again. */
  paced(): void
  /** It no longer waits for one. */
  pacedOver(waitedMs: number): void
}

export type DropReason =
  /** Its address had as many as it may have, and all of them had sent something. */
  | 'refused'
  /** It had not sent anything yet, and its address had no place for another one. */
  | 'made_room'
  /** Nothing was sent either way for `idleMs`. */
  | 'idle'
  /** The peer took nothing of its answers for `stalledMs`. */
  | 'stalled'

export type RejectReason =
  | 'frame-empty'
  | 'frame-too-long'
  | 'frame-length-not-digits'
  /** The peer ended its side in the middle of a frame. */
  | 'frame-truncated'
  | 'partial-frame-deadline'
  /** The frame was whole, but not a message that could be answered. */
  | 'message'
