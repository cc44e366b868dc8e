/** The flags of one repository, whatever they are called. */
export interface RepositoryFlags {
  readonly repo?: string | undefined;
  readonly repositoryFile?: string | undefined;
  readonly passwordFile?: string | undefined;
  readonly passwordCommand?: string | undefined;
  readonly insecureNoPassword?: boolean | undefined;
}
