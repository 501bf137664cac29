/** Waits for a state, not for a time; fails after 20 s, which no test comes near unless it fails. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 20_000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`still not so after 20 s: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
