const LIMIT_MS = 15_000;

/** Whether anything answers at a URL, whoever it is; `forbidden`: the page's policy does not let it ask there. */
export async function reach(url: string): Promise<'answers' | 'silent' | 'forbidden'> {
  const { origin } = new URL(url);
  let isForbidden = false;
  const notice = ({ blockedURI }: SecurityPolicyViolationEvent): void => {
    if (blockedURI.startsWith(origin)) isForbidden = true;
  };
  document.addEventListener('securitypolicyviolation', notice);
  try {
    // Other origins need not let this page read what they say: that they say something is enough.
    await fetch(url, { mode: 'no-cors', cache: 'no-store', signal: AbortSignal.timeout(LIMIT_MS) });
    return 'answers';
  } catch {
    // The notice of the policy may come a moment after the refusal.
    await new Promise((resolve) => setTimeout(resolve));
    return isForbidden ? 'forbidden' : 'silent';
  } finally {
    document.removeEventListener('securitypolicyviolation', notice);
  }
}
