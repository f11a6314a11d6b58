-- Who may read the prompts of one workspace alone reads them newest first, without passing over those of the others.

create index prompt_log_workspace on prompt_log (workspace_id, prompt_log_id desc);
