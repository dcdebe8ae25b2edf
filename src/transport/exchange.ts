import type { LinkConfig } from '../settings.ts'

/** Who is at the other end, as far as it has proven it. */
export interface Peer {
  /** The client's certificate, which a CA of the link has signed; undefined on a plain link. */
  readonly certificate: { readonly fingerprint: string; readonly commonName: string | undefined } | undefined
}

/**
 * One received frame, waiting for its answer. Exactly one of `answer`, `silent` and `close` ends it; what is called
 * after that, or after the connection is gone, does nothing.
 */
export interface Exchange {
  readonly link: LinkConfig
  /** `address:port` of the sender, for logs. */
  readonly remote: string
  readonly peer: Peer
  /** Sends the answer with all others of this turn of the event loop. `payload` must not change afterwards. */
  answer(payload: Buffer): void
  /** No answer will be sent; gives the place in flight free. */
  silent(): void
  /**
   * Logs why, reads nothing more from this connection, and ends it when what else is in flight on it was answered.
   * @param reason without card data
   */
  close(reason: string): void
}
