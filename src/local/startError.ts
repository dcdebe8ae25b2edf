/** Something that keeps the local stack from starting. The message is the one line a person reads: what, and what to do. */
export class StartError extends Error {
  override readonly name = 'StartError'
}
