/** What the transport counts. Reasons come from a short fixed list, so they may be labels. */
export interface TransportMetrics {
  connectionOpened(): void
  connectionClosed(): void
  /** A connection ended in its TLS handshake. */
  handshakeFailed(): void
  frameReceived(bytes: number): void
  frameRejected(reason: RejectReason): void
  answered(): void
}

export type RejectReason =
  | 'frame-empty'
  | 'frame-too-long'
  | 'frame-length-not-digits'
  /** The peer ended its side in the middle of a frame. */
  | 'frame-truncated'
  | 'partial-frame-deadline'
  /** The frame was whole, but not a message that could be answered. */
  | 'message'
