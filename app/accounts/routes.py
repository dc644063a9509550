"""Every page about people, put together for create_app()."""

from fastapi import APIRouter

from app.accounts import entrance_routes, people_routes, security_routes

router = APIRouter()
router.include_router(entrance_routes.router)
router.include_router(security_routes.router)
router.include_router(people_routes.router)
