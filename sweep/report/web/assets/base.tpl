<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{title}}</title>
% for name in ("page.css", "site.css"):
<link rel="stylesheet" href="{{asset_url(name)}}">
% end
% for name in get("scripts", ()):
<script src="{{asset_url(name)}}" defer></script>
% end
% for name in get("modules", ()):
<script src="{{asset_url(name)}}" type="module"></script>
% end
</head>
<body>
<main>
{{!base}}
</main>
</body>
</html>
