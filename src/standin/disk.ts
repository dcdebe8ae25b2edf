/**
 * The disk as the journal of stand-in uses it: a port, so that the same code also runs on a simulated disk, which may lose or tear what was not
 * synchronised. Paths are joined with '/'. Every call may throw; nothing is retried below this port.
 */
export interface Disk {
  /** Makes it with those above it, durably. No error where it is there. */
  makeDirectory(path: string): Promise<void>
  /** Names in a directory, in order; none where there is no such directory. */
  list(path: string): Promise<string[]>
  read(path: string): Promise<Buffer>
  /** A new, empty file to append to. It is durable once `syncDirectory` has returned. @throws where there is one of that name */
  create(path: string): Promise<DiskFile>
  /** Within a directory; durable once `syncDirectory` has returned, and so is a removal. */
  rename(from: string, to: string): Promise<void>
  remove(path: string): Promise<void>
  syncDirectory(path: string): Promise<void>
  /**
   * Takes a directory for this process alone, for as long as it lives or until it is released. That somebody has taken it is durable: a name `lock.<number>` stays
   * in the directory of one who died, also of a power loss.
   *
   * @returns undefined where a living process has it, or one of another machine, of which nobody here knows whether it lives
   */
  lock(directory: string): Promise<DiskLock | undefined>
}

export interface DiskFile {
  /** All of it, behind what was appended before. Not durable yet; where it throws, any part of it may have been written. */
  append(bytes: Uint8Array): Promise<void>
  /** What was appended is durable. Where it throws, nothing is known of it, and asking again proves nothing. */
  sync(): Promise<void>
  close(): Promise<void>
}

export interface DiskLock {
  release(): Promise<void>
}
